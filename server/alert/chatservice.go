package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/googlechat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/matrix"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/mattermost"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/rocketchat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/gotify"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushover"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// chatService is one that a chat channel can be of.
type chatService struct {
	example       string
	options       []string // that the address may set; nil when its query is the service's own
	secretOptions []string // those of them that are keys
	hosts         []string // it posts to, by name or ".suffix", over https; empty: a server of one's own
	secretHost    bool     // the place of the host holds an id
	incidents     bool     // it opens and closes incidents
	send          func(context.Context, *http.Client, *url.URL, Message) error
}

// chatServices are those that may be used, by the scheme of their addresses. The
// services of the library that are missing cannot be given a transport, or do more than
// telling somebody.
var chatServices = map[string]chatService{
	"slack": {example: "slack://hook:TTTTTTTTT-BBBBBBBBB-XXXXXXXXXXXXXXXXXXXXXXXX@webhook", options: []string{"botname", "username", "icon", "icon_emoji", "color", "thread_ts"},
		hosts: []string{"hooks.slack.com", "slack.com"}, secretHost: true, send: toSlack},
	"teams+https": {example: "teams+https://HOST/workflows/…", hosts: []string{".logic.azure.com", ".api.powerplatform.com"}, send: toTeams},
	"telegram":    {example: "telegram://TOKEN@telegram?chats=CHAT", options: []string{"chats", "channels", "notification"}, hosts: []string{"api.telegram.org"}, send: toTelegram},
	"discord": {example: "discord://TOKEN@WEBHOOK-ID", options: []string{"username", "avatar", "avatarurl", "color", "thread_id"},
		hosts: []string{"discord.com"}, secretHost: true, send: toDiscord},
	"googlechat": {example: "googlechat://chat.googleapis.com/v1/spaces/SPACE/messages?key=KEY&token=TOKEN", options: []string{"key", "token"}, secretOptions: []string{"key", "token"},
		hosts: []string{"chat.googleapis.com"}, send: toGoogleChat},
	"mattermost": {example: "mattermost://HOST/TOKEN", options: []string{"icon", "icon_emoji", "disabletls"}, send: toMattermost},
	"rocketchat": {example: "rocketchat://HOST/TOKEN-A/TOKEN-B", options: []string{}, send: toRocketChat},
	"matrix":     {example: "matrix://:TOKEN@HOST/?rooms=!ROOM:SERVER", options: []string{"rooms", "room", "disabletls"}, send: toMatrix},
	"ntfy":       {example: "ntfy://ntfy.sh/TOPIC", options: []string{"priority", "tags", "icon", "disabletls"}, send: toNtfy},
	"gotify":     {example: "gotify://HOST/TOKEN", options: []string{"priority", "disabletls"}, send: toGotify},
	"pushover":   {example: "pushover://shoutrrr:TOKEN@USER-KEY", options: []string{"devices", "priority"}, hosts: []string{"api.pushover.net"}, secretHost: true, send: toPushover},
	"pagerduty": {example: "pagerduty://events.pagerduty.com/INTEGRATION-KEY", options: []string{"severity"},
		hosts: []string{"events.pagerduty.com", "events.eu.pagerduty.com"}, incidents: true, send: toPagerDuty},
	"opsgenie": {example: "opsgenie://api.opsgenie.com/API-KEY", options: []string{"priority", "tags", "responders", "visibleto", "entity"},
		hosts: []string{"api.opsgenie.com", "api.eu.opsgenie.com"}, incidents: true, send: toOpsgenie},
}

// library is a service of the library.
type library interface {
	Initialize(*url.URL, types.StdLogger) error
	Send(string, *types.Params) error
}

// byLibrary posts a text by a service of the library, once connect has given it the client.
func byLibrary(s library, u *url.URL, connect func(), text string, p types.Params) error {
	if err := s.Initialize(u, nil); err != nil {
		return err
	}
	connect()
	return s.Send(text, &p)
}

func toMattermost(_ context.Context, c *http.Client, u *url.URL, m Message) error {
	s := &mattermost.Service{}
	return byLibrary(s, u, func() { *s.GetHTTPClient() = *c }, chatTitle(m)+"\n"+chatText(m), types.Params{})
}

func toRocketChat(_ context.Context, c *http.Client, u *url.URL, m Message) error {
	s := &rocketchat.Service{}
	return byLibrary(s, u, func() { s.Client = c }, chatTitle(m)+"\n"+chatText(m), types.Params{})
}

func toNtfy(_ context.Context, c *http.Client, u *url.URL, m Message) error {
	s, p := &ntfy.Service{}, types.Params{"title": chatTitle(m)}
	if m.Link != "" {
		p["click"] = m.Link
	}
	return byLibrary(s, u, func() { s.SetHTTPClient(c) }, chatText(m), p)
}

// toGotify sends the token in a header, where no log of the server's requests has it.
func toGotify(_ context.Context, c *http.Client, u *url.URL, m Message) error {
	s := &gotify.Service{}
	return byLibrary(s, u, func() { *s.GetHTTPClient() = *c }, chatText(m), types.Params{"title": chatTitle(m), "useheader": "yes"})
}

func toPushover(_ context.Context, c *http.Client, u *url.URL, m Message) error {
	s := &pushover.Service{}
	return byLibrary(s, u, func() { s.Client = c }, chatText(m), types.Params{"title": chatTitle(m)})
}

// notAgain stands for the pauses between the library's own attempts at Discord: there
// are none, since a wire carries one request.
type notAgain struct{}

// Sleep does not.
func (notAgain) Sleep(time.Duration) {}

func toDiscord(_ context.Context, c *http.Client, u *url.URL, m Message) error {
	if u.Path != "" { // else the library may take the text for a request's body
		return errors.New("want no path")
	}
	s := &discord.Service{}
	return byLibrary(s, u, func() { s.HTTPClient, s.Sleeper = c, notAgain{} }, chatText(m), types.Params{"title": chatTitle(m), "splitlines": "no"})
}

// toSlack posts by a webhook, or with a bot's token by chat.postMessage, which answers
// 200 to what it does not take (docs.slack.dev/reference/methods/chat.postMessage).
func toSlack(ctx context.Context, c *http.Client, u *url.URL, m Message) error {
	conf, err := slack.CreateConfigFromURL(u)
	if err != nil {
		return err
	}
	conf.Title = chatTitle(m)
	body := slack.CreateJSONPayload(conf, chatText(m))
	if !conf.Token.IsAPIToken() {
		_, err := post(ctx, c, http.MethodPost, conf.Token.WebhookURL(), "", body)
		return err
	}
	raw, err := post(ctx, c, http.MethodPost, "https://slack.com/api/chat.postMessage", conf.Token.Authorization(), body)
	if err != nil {
		return err
	}
	var said slack.APIResponse
	if err := json.Unmarshal(raw, &said); err != nil || !said.Ok {
		return errors.Join(slack.ErrAPIResponseFailure, err)
	}
	return nil
}

// errOneChat is what is said to addresses of several chats: a delivery is to one, so that
// "delivered" means it.
var errOneChat = errors.New("want one chat; add a channel for each")

// toTelegram sends plain text (core.telegram.org/bots/api#sendmessage).
func toTelegram(ctx context.Context, c *http.Client, u *url.URL, m Message) error {
	conf := telegram.Config{Notification: true}
	if err := conf.SetURL(u); err != nil {
		return err
	}
	if len(conf.Chats) != 1 {
		return errOneChat
	}
	chat, thread, _ := strings.Cut(conf.Chats[0], ":")
	body := telegram.SendMessagePayload{Text: chatTitle(m) + "\n" + chatText(m), ID: chat, DisablePreview: true, DisableNotification: !conf.Notification}
	if thread != "" {
		var id int
		if err := json.Unmarshal([]byte(thread), &id); err != nil {
			return errors.New("want CHAT:TOPIC, with the topic's number")
		}
		body.MessageThreadID = &id
	}
	_, err := post(ctx, c, http.MethodPost, "https://api.telegram.org/bot"+conf.Token+"/sendMessage", "", body)
	return err
}

// toTeams posts an adaptive card to a workflow "When a Teams webhook request is received"
// (adaptivecards.io/schemas/1.4.0). The connectors that the library posts to were
// retired by Microsoft in 2026.
func toTeams(ctx context.Context, c *http.Client, u *url.URL, m Message) error {
	body := []any{map[string]any{"type": "TextBlock", "text": chatTitle(m), "wrap": true, "weight": "Bolder"}}
	for line := range strings.SplitSeq(chatText(m), "\n") {
		body = append(body, map[string]any{"type": "TextBlock", "text": line, "wrap": true})
	}
	card := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	u.Scheme = "https"
	_, err := post(ctx, c, http.MethodPost, u.String(), "", map[string]any{"type": "message",
		"attachments": []any{map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}})
	return err
}

func toGoogleChat(ctx context.Context, c *http.Client, u *url.URL, m Message) error {
	var conf googlechat.Config
	if err := conf.SetURL(u); err != nil {
		return err
	}
	if conf.Key == "" || conf.Token == "" || !strings.HasPrefix(conf.Path, "/v1/spaces/") {
		return errors.New("want a space, key and token")
	}
	to := url.URL{Scheme: "https", Host: conf.Host, Path: conf.Path, RawQuery: url.Values{"key": {conf.Key}, "token": {conf.Token}}.Encode()}
	_, err := post(ctx, c, http.MethodPost, to.String(), "", googlechat.JSON{Text: chatTitle(m) + "\n" + chatText(m)})
	return err
}

// toMatrix sends to one room by its id, with the delivery's id as the transaction's: a
// second attempt does not show twice (spec.matrix.org, client-server API, m.room.message).
func toMatrix(ctx context.Context, c *http.Client, u *url.URL, m Message) error {
	var conf matrix.Config
	if err := conf.SetURL(u); err != nil {
		return err
	}
	if len(conf.Rooms) != 1 {
		return errOneChat
	}
	if conf.User != "" || conf.Password == "" || !strings.HasPrefix(conf.Rooms[0], "!") {
		return errors.New("want an access token, and the id of a room (!…:SERVER)")
	}
	scheme := "https"
	if conf.DisableTLS {
		scheme = "http"
	}
	to := fmt.Sprintf("%s://%s/_matrix/client/v3/rooms/%s/send/m.room.message/%s", scheme, conf.Host, url.PathEscape(conf.Rooms[0]), url.PathEscape(m.ID))
	_, err := post(ctx, c, http.MethodPut, to, "Bearer "+conf.Password, map[string]string{"msgtype": "m.text", "body": chatTitle(m) + "\n" + chatText(m)})
	return err
}

// post sends JSON, and returns the answer to it.
func post(ctx context.Context, c *http.Client, method, to, authorization string, body any) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = out.ReadFrom(res.Body)
	return out.Bytes(), errors.Join(err, res.Body.Close())
}
