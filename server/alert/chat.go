package alert

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// chatTimeout bounds one attempt at a chat or paging service.
const chatTimeout = 30 * time.Second

// Chats delivers messages to chat and paging services. What is posted, and to where, is
// made by the library nicholas-fedor/shoutrrr from the channel's address; it is carried
// by a transport of our own, since most of the library's own ones have no deadline, go
// to any address and follow redirects.
type Chats struct {
	transport http.RoundTripper
}

// NewChats makes a poster over a transport, which says what may be connected to; see
// Transport.
func NewChats(t http.RoundTripper) *Chats { return &Chats{t} }

// Notify posts a message once. A 4xx answer is a Refusal, except 408, 425 and 429, and
// so are a redirect and an address that is not, or no longer, one to be used. No error
// repeats the address.
func (h *Chats) Notify(ctx context.Context, c Channel, m Message) error {
	a, err := parseChat(c.Target)
	if err != nil {
		return Refusal{err}
	}
	ctx, cancel := context.WithTimeout(ctx, chatTimeout)
	defer cancel()
	w := &wire{ctx: ctx, under: h.transport, hosts: a.service.hosts}
	said := a.send(ctx, w, m)
	if err := w.outcome(a.name, said); err != nil {
		return masked{err, a.mask(err.Error())}
	}
	return nil
}

// CheckChat says why an address cannot be a chat channel's, or nil; the error is a
// ChatFault. It has the library make a message of the address, and posts nothing.
func CheckChat(target string) error {
	a, err := parseChat(target)
	if err != nil {
		return err
	}
	w := &wire{ctx: context.Background(), under: nowhere{}, hosts: a.service.hosts}
	said := a.send(w.ctx, w, Message{ID: "d_check", Event: EventTest, Subject: "-", Why: "-"})
	switch {
	case w.asked:
		return nil
	case w.err != nil:
		said = w.err
	case said == nil:
		said = errors.New("nothing to post")
	}
	return ChatFault{Service: a.name, Why: ChatForm, What: a.mask(said.Error())}
}

// What may be wrong with the address of a chat channel.
const (
	ChatUnknown = "unknown" // it names no service that can be used
	ChatForm    = "form"    // it is not as its service's addresses are
	ChatOption  = "option"  // it sets something that cannot be set
)

// ChatFault is what is wrong with the address of a chat channel. It never repeats the
// address, which may hold tokens.
type ChatFault struct {
	Service string // "" when the address names none that can be used
	Why     string // ChatUnknown, ChatForm or ChatOption
	What    string // what the library says of the address
}

func (f ChatFault) Error() string {
	switch f.Why {
	case ChatUnknown:
		return "this is not the address of a chat or paging service that can be used; begin it as one of " + f.Cure()
	case ChatOption:
		return fmt.Sprintf("address of %s: it sets something that cannot be set; want %s", f.Service, f.Cure())
	}
	return fmt.Sprintf("address of %s: %s; want %s", f.Service, f.What, f.Cure())
}

// Cure is how an address of the service looks, and what can be set in it; without a
// service, how they begin.
func (f ChatFault) Cure() string {
	switch {
	case f.Why == ChatOption && len(chatServices[f.Service].options) > 0:
		return ChatExample(f.Service) + " [" + strings.Join(chatServices[f.Service].options, "=… ") + "=…]"
	case f.Service != "":
		return ChatExample(f.Service)
	}
	return strings.Join(ChatServices(), ":// ") + "://"
}

// ChatServices lists the services that a chat channel can be of, as addresses name them.
func ChatServices() []string { return slices.Sorted(maps.Keys(chatServices)) }

// ChatExample is how an address of a service looks.
func ChatExample(service string) string { return chatServices[service].example }

// ShownChat is as much of a chat channel's address as anybody may see: the service, and
// what tells it from another of its kind without being a key to it.
func ShownChat(target string) string {
	a, err := parseChat(target)
	switch {
	case err != nil:
		return "…"
	case a.name == "telegram":
		return "telegram://…?chats=" + a.url.Query().Get("chats")
	case a.service.secretHost:
		return a.name + "://…"
	}
	return a.name + "://" + a.url.Host + "/…"
}

// chatAddress is the address of a chat channel.
type chatAddress struct {
	name    string
	service chatService
	url     *url.URL
}

// parseChat reads an address, of the services that may be used alone. The library has
// more: those that read files, run programs, log, send mail by themselves or post to
// any address, and those that cannot be given a transport. Its placeholders, which it
// takes unchecked, are none either.
func parseChat(target string) (chatAddress, error) {
	u, err := url.Parse(target)
	if err != nil {
		return chatAddress{}, ChatFault{Why: ChatUnknown}
	}
	s, ok := chatServices[u.Scheme]
	if !ok || u.Opaque != "" {
		return chatAddress{}, ChatFault{Why: ChatUnknown}
	}
	a := chatAddress{u.Scheme, s, u}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Host == "" || u.Hostname() == "dummy.com" || u.Fragment != "" {
		return chatAddress{}, ChatFault{Service: a.name, Why: ChatForm, What: "not of that form"}
	}
	for key, values := range query {
		if s.options != nil && (!slices.Contains(s.options, strings.ToLower(key)) || len(values) > 1) {
			return chatAddress{}, ChatFault{Service: a.name, Why: ChatOption} // the key may be a token in the wrong place
		}
	}
	return a, nil
}

// send has the library make and post a message over a wire.
func (a chatAddress) send(ctx context.Context, w *wire, m Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the address is not understood: %v", p)
		}
	}()
	u := *a.url // the library may change it
	return a.service.send(ctx, &http.Client{Transport: w}, &u, m)
}

// gathers reports whether a channel is told once of what one host has wrong for several
// duties: people are, programs and incidents hear of each alert.
func gathers(c Channel) bool {
	scheme, _, _ := strings.Cut(c.Target, "://")
	return c.Kind == Email || c.Kind == Chat && !chatServices[scheme].incidents
}

// The bounds of a chat's text, in characters: what every service takes (Pushover, 1024
// in all, is the shortest), so that the link at its end is never cut.
const (
	chatSubject = 240
	chatWhy     = 480
	chatCure    = 240
)

// chatTitle and chatText are a message for a chat.
func chatTitle(m Message) string { return plain(m.Subject, chatSubject) }

func chatText(m Message) string {
	var lines []string
	for _, d := range m.Duties[min(1, len(m.Duties)):] {
		lines = append(lines, plain(d, chatSubject))
	}
	lines = append(lines, plain(m.Why, chatWhy))
	text := languages[m.Lang]
	if m.Event != Resolved && m.Alert.Unsteady() {
		lines = append(lines, text.unsteady+": "+fmt.Sprintf(text.often, m.Alert.Fired))
	}
	if m.Cure != "" {
		lines = append(lines, text.cure+": "+plain(m.Cure, chatCure))
	}
	if m.Link != "" {
		lines = append(lines, m.Link)
	}
	return strings.Join(lines, "\n")
}

// markup is what services make links and mentions of. Names in a message come from
// hosts: they ring no bell and lead nowhere.
var markup = strings.NewReplacer("<", "‹", ">", "›", "](", "] (", "@all", "@\u200ball", "@here", "@\u200bhere",
	"@channel", "@\u200bchannel", "@everyone", "@\u200beveryone", "\n", " ", "\r", " ")

func plain(s string, most int) string {
	r := []rune(markup.Replace(s))
	if len(r) > most {
		r = append(r[:most-1], '…')
	}
	return string(r)
}
