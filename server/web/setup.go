package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
)

// The log's words for what is set for an organisation.
const (
	eventChannelAdded   = "channel.added"
	eventChannelRemoved = "channel.removed"
)

// setupBody are an organisation's settings.
type setupBody struct {
	MayManage bool
	Mails     bool // the server can send mails
	Channels  []alert.Channel
	Afters    []int    // hours, of which a channel can hear that nobody acts
	Zones     []string // that are proposed
	Chats     []string // how addresses of chats look, the most usual first
	Figures   []figureService
	Secret    string // of a webhook that was just added, shown once
	Done      string // key of what was just done
	Fault     string // key of why it was not
	Said      string // what the receiver of a test answered
}

// zones are those that the form proposes; any of IANA's may be typed.
var zones = []string{"Europe/Rome", "Europe/London", "Europe/Berlin", "Europe/Zurich", "Europe/Paris", "Europe/Madrid", "UTC"}

// chats are the services that a chat channel can be of, the most usual first.
func chats() []string {
	usual := []string{"slack", "teams+https", "telegram", "pagerduty"}
	return append(usual, slices.DeleteFunc(alert.ChatServices(), func(s string) bool { return slices.Contains(usual, s) })...)
}

func (w *Web) setup(rw http.ResponseWriter, r *http.Request) error {
	return w.setupPage(rw, r, http.StatusOK, setupBody{})
}

func (w *Web) setupPage(rw http.ResponseWriter, r *http.Request, status int, body setupBody) error {
	ctx, org := r.Context(), orgOf(r.Context())
	var err error
	if body.Channels, err = w.Store.Channels(ctx, org.ID); err != nil {
		return err
	}
	body.MayManage, body.Mails, body.Zones, body.Afters = viewerOf(ctx).manages(org.ID), w.Mail != nil, zones, alert.Afters()
	for _, service := range chats() {
		body.Chats = append(body.Chats, alert.ChatExample(service))
	}
	for i := range body.Channels {
		body.Channels[i].Secret = nil
		body.Channels[i].Target = shownTarget(body.Channels[i], body.MayManage)
	}
	if body.Figures, err = w.figures(r); err != nil {
		return err
	}
	return w.render(rw, r, status, "setup", "setup_title", body)
}

// shownTarget is as much of a channel's address as the reader may see: the path of a
// webhook may hold a token, the address of a chat does, and an address is a person's.
func shownTarget(c alert.Channel, all bool) string {
	switch c.Kind {
	case alert.Chat:
		return alert.ShownChat(c.Target)
	case alert.Webhook:
		scheme, rest, _ := strings.Cut(c.Target, "://")
		host, _, _ := strings.Cut(rest, "/")
		return scheme + "://" + host + "/…"
	}
	if name, domain, ok := strings.Cut(c.Target, "@"); ok && !all {
		return name[:min(1, len(name))] + "…@" + domain
	}
	return c.Target
}

// setOrg changes an organisation's language and zone.
func (w *Web) setOrg(rw http.ResponseWriter, r *http.Request) error {
	org := orgOf(r.Context())
	org.Lang, org.Zone = r.PostFormValue("lang"), strings.TrimSpace(r.PostFormValue("zone"))
	if _, err := time.LoadLocation(org.Zone); err != nil || org.Zone == "" || org.Zone == "Local" || !supported(org.Lang) {
		return w.setupPage(rw, r, http.StatusBadRequest, setupBody{Fault: "setup_bad_zone"})
	}
	if err := w.SetOrg(r.Context(), org, viewerOf(r.Context()).id()); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+org.ID+"/settings", http.StatusSeeOther)
	return nil
}

// chatFault says what is wrong with the address of a chat, and how one looks.
func chatFault(f alert.ChatFault) setupBody {
	body := setupBody{Fault: "channel_chat_form", Said: f.Cure()}
	switch f.Why {
	case alert.ChatUnknown:
		body.Fault = "channel_chat_unknown"
	case alert.ChatOption:
		body.Fault = "channel_chat_option"
	}
	return body
}

// maxChannels bounds the channels of an organisation.
const maxChannels = 50

func (w *Web) addChannel(rw http.ResponseWriter, r *http.Request) error {
	ctx, org := r.Context(), orgOf(r.Context())
	c := alert.Channel{ID: evidence.NewID("c_"), Org: org.ID, Kind: r.PostFormValue("kind"), Target: strings.TrimSpace(r.PostFormValue("target")), Created: w.Now()}
	if r.PostFormValue("hears") == alert.HearsBoth {
		c.Party = alert.HearsBoth
	}
	after, err := strconv.Atoi(cmp.Or(r.PostFormValue("after"), "0"))
	if err != nil || !slices.Contains(alert.Afters(), after) {
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	c.After = time.Duration(after) * time.Hour
	var secret string
	switch c.Kind {
	case alert.Email:
		err = alert.CheckEmail(c.Target)
	case alert.Webhook:
		err = alert.CheckURL(c.Target)
		c.Secret, secret = alert.NewSecret()
	case alert.Chat:
		err = alert.CheckChat(c.Target)
	default:
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	have, listed := w.Store.Channels(ctx, org.ID)
	if listed != nil {
		return listed
	}
	var chat alert.ChatFault
	if errors.As(err, &chat) {
		return w.setupPage(rw, r, http.StatusBadRequest, chatFault(chat))
	}
	if err != nil || len(c.Target) > 500 || len(have) >= maxChannels {
		return w.setupPage(rw, r, http.StatusBadRequest, setupBody{Fault: "channel_bad"})
	}
	detail := map[string]string{"channel": c.ID, "kind": c.Kind, "target": shownTarget(c, true)}
	if after > 0 {
		detail["after"] = strconv.Itoa(after)
	}
	err = w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddChannel(ctx, c); err != nil {
			return err
		}
		return w.Note(ctx, tx, Deed{Orgs: []string{org.ID}, Event: eventChannelAdded, By: viewerOf(ctx).id(), Detail: detail})
	})
	if err != nil {
		return err
	}
	return w.setupPage(rw, r, http.StatusOK, setupBody{Secret: secret, Done: "channel_added"})
}

// channelOf is the channel of the organisation in the path.
func (w *Web) channelOf(r *http.Request) (alert.Channel, error) {
	list, err := w.Store.Channels(r.Context(), orgOf(r.Context()).ID)
	if err != nil {
		return alert.Channel{}, err
	}
	i := slices.IndexFunc(list, func(c alert.Channel) bool { return c.ID == r.PathValue("channel") })
	if i < 0 {
		return alert.Channel{}, notFound()
	}
	return list[i], nil
}

func (w *Web) removeChannel(rw http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	c, err := w.channelOf(r)
	if err != nil {
		return err
	}
	err = w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.RemoveChannel(ctx, c.ID); err != nil {
			return err
		}
		return w.Note(ctx, tx, Deed{Orgs: []string{c.Org}, Event: eventChannelRemoved, By: viewerOf(ctx).id(), Detail: map[string]string{"channel": c.ID, "kind": c.Kind}})
	})
	if err != nil {
		return err
	}
	return w.setupPage(rw, r, http.StatusOK, setupBody{Done: "channel_removed"})
}

// testChannel sends one message through a channel, now, and shows what came of it.
func (w *Web) testChannel(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.channelOf(r)
	if err != nil {
		return err
	}
	if !w.asking.allow(address(r), c.ID) {
		rw.Header().Set("Retry-After", "300")
		return w.setupPage(rw, r, http.StatusTooManyRequests, setupBody{Fault: "channel_slow"})
	}
	err = w.TestChannel(r.Context(), c)
	if err == nil {
		return w.setupPage(rw, r, http.StatusOK, setupBody{Done: "channel_tested"})
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return w.setupPage(rw, r, http.StatusConflict, setupBody{Fault: "channel_failed", Said: err.Error()})
}
