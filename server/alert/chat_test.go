package alert_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
)

// chats are an address of each service. What they end in, or hold, is a secret.
var chats = map[string]string{
	"slack":       "slack://hook:T0AAAAAAA-B0AAAAAAA-seCret1111111111111111111@webhook",
	"slack bot":   "slack://xoxb:123456789-987654321-seCret1111111111111111111@C001CHANNEL",
	"slack old":   "slack://Attesto@T0AAAAAAA/B0AAAAAAA/seCret1111111111111111111",
	"teams":       "teams+https://prod-1.westeurope.logic.azure.com:443/workflows/seCret1111/triggers/manual/paths/invoke?api-version=2016-06-01&sig=seCret2222",
	"telegram":    "telegram://110201543:AAseCret1111@telegram?chats=@ops",
	"discord":     "discord://seCret1111@seCret2222",
	"googlechat":  "googlechat://chat.googleapis.com/v1/spaces/ops/messages?key=seCret1111&token=seCret2222",
	"mattermost":  "mattermost://bot@chat.example.com/seCret1111/ops",
	"rocketchat":  "rocketchat://bot@chat.example.com/seCret1111/seCret2222",
	"matrix":      "matrix://:seCret1111@matrix.example.com/?rooms=!ops:example.com",
	"ntfy":        "ntfy://bot:seCret1111@ntfy.example.com/seCret2222?priority=high",
	"gotify":      "gotify://push.example.com/AseCret11111111",
	"pushover":    "pushover://shoutrrr:seCret1111@seCret2222",
	"pagerduty":   "pagerduty://events.pagerduty.com/5ec1e75ec1e75ec1e75ec1e75ec1e75e",
	"opsgenie":    "opsgenie://api.eu.opsgenie.com/seCret1111?tags=attesto",
	"opsgenie us": "opsgenie://api.opsgenie.com/seCret1111",
}

var secrets = []string{"seCret", "5ec1e7", "T0AAAAAAA", "B0AAAAAAA", "c2VDcmV0", "987654321", "C001CHANNEL"}

// far stands for all services at once: none of them can be reached from a test. What
// posts to it is the real library, over the real transport but for the names.
type far struct {
	got    atomic.Pointer[http.Request]
	body   atomic.Pointer[string]
	asked  atomic.Int64
	answer func(http.ResponseWriter, *http.Request, string)
	chats  *alert.Chats
}

func newFar(t *testing.T) *far {
	t.Helper()
	f := &far{answer: func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = io.WriteString(w, `{"ok":true,"id":1}`) }}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body := string(raw)
		f.asked.Add(1)
		f.got.Store(r)
		f.body.Store(&body)
		f.answer(w, r, body)
	}))
	t.Cleanup(srv.Close)
	transport := alert.Transport(true)
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // its certificate has another name
	t.Cleanup(transport.CloseIdleConnections)
	f.chats = alert.NewChats(transport)
	return f
}

func (f *far) notify(target string, m alert.Message) error {
	return f.chats.Notify(context.Background(), alert.Channel{Kind: alert.Chat, Target: target}, m)
}

var firing = alert.Message{ID: "d_1", Event: alert.Firing, Lang: "it", OrgName: "Officine Bianchi", Subject: "Violato: PE-P3 (Bianchi, mx1: 192.0.2.25)",
	Why: "192.0.2.25 è in lista", Cure: "Chiedere la rimozione.", Link: "https://proof.example/orgs/o_1/duties/PE-P3",
	Alert: alert.Alert{ID: "al_7", Name: "mx1: 192.0.2.25", Duty: "PE-P3", Verdict: duties.Breached}}

func TestChatsPost(t *testing.T) {
	type post struct {
		name, event string
		method, url string
		header      string // Authorization, or X-Gotify-Key
		want        []string
	}
	tests := []post{
		{name: "slack", url: "hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/seCret1111111111111111111"},
		{name: "slack bot", url: "slack.com/api/chat.postMessage", header: "Bearer xoxb-123456789-987654321-seCret1111111111111111111", want: []string{`"channel":"C001CHANNEL"`}},
		{name: "slack old", url: "hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/seCret1111111111111111111"},
		{name: "teams", url: "prod-1.westeurope.logic.azure.com:443/workflows/seCret1111/triggers/manual/paths/invoke?api-version=2016-06-01&sig=seCret2222", want: []string{`"type":"AdaptiveCard"`}},
		{name: "telegram", url: "api.telegram.org/bot110201543:AAseCret1111/sendMessage", want: []string{`"chat_id":"@ops"`}},
		{name: "discord", url: "discord.com/api/webhooks/seCret2222/seCret1111", want: []string{`"embeds"`}},
		{name: "googlechat", url: "chat.googleapis.com/v1/spaces/ops/messages?key=seCret1111&token=seCret2222"},
		{name: "mattermost", url: "chat.example.com/hooks/seCret1111", want: []string{`"channel":"ops"`, `"username":"bot"`}},
		{name: "rocketchat", url: "chat.example.com/hooks/seCret1111/seCret2222"},
		{name: "matrix", method: "PUT", url: "matrix.example.com/_matrix/client/v3/rooms/%21ops:example.com/send/m.room.message/d_1", header: "Bearer seCret1111"},
		{name: "ntfy", url: "ntfy.example.com/seCret2222", header: "Basic Ym90OnNlQ3JldDExMTE="},
		{name: "gotify", url: "push.example.com/message", header: "AseCret11111111"},
		{name: "pushover", url: "api.pushover.net/1/messages.json", want: []string{"token=seCret1111", "user=seCret2222"}},
		{name: "pagerduty", url: "events.pagerduty.com:443/v2/enqueue", want: []string{`"event_action":"trigger"`, `"dedup_key":"al_7"`, `"severity":"error"`, `"source":"mx1: 192.0.2.25"`}},
		{name: "pagerduty", event: alert.Resolved, url: "events.pagerduty.com:443/v2/enqueue", want: []string{`"event_action":"resolve"`, `"dedup_key":"al_7"`}},
		{name: "pagerduty", event: alert.EventTest, url: "events.pagerduty.com:443/v2/enqueue", want: []string{`"event_action":"trigger"`, `"severity":"info"`}},
		{name: "opsgenie", url: "api.eu.opsgenie.com:443/v2/alerts", header: "GenieKey seCret1111", want: []string{`"alias":"al_7"`, `"tags":["attesto"]`}},
		{name: "opsgenie us", event: alert.Resolved, url: "api.opsgenie.com:443/v2/alerts/al_7/close?identifierType=alias", header: "GenieKey seCret1111", want: []string{`"note"`}},
	}
	posted := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name+tt.event, func(t *testing.T) {
			posted[tt.name] = true
			if err := alert.CheckChat(chats[tt.name]); err != nil {
				t.Fatal(err)
			}
			f, m := newFar(t), firing
			if tt.event != "" {
				m.Event = tt.event
			}
			if err := f.notify(chats[tt.name], m); err != nil {
				t.Fatal(err)
			}
			r, body := f.got.Load(), *f.body.Load()
			if tt.method == "" {
				tt.method = "POST"
			}
			if got := r.Host + r.RequestURI; got != tt.url || r.Method != tt.method || f.asked.Load() != 1 {
				t.Errorf("%d requests, %s %s, want %s %s", f.asked.Load(), r.Method, got, tt.method, tt.url)
			}
			if got := r.Header.Get("Authorization") + r.Header.Get("X-Gotify-Key"); got != tt.header {
				t.Errorf("key %q, want %q", got, tt.header)
			}
			text := unescape(body) + r.Header.Get("Title")
			if !strings.Contains(tt.url, "/close") {
				tt.want = append(tt.want, "Violato: PE-P3")
			}
			for _, want := range append(tt.want, "192.0.2.25 è in lista", "Che cosa fare: Chiedere la rimozione.", "https://proof.example/orgs/o_1/duties/PE-P3") {
				if !strings.Contains(text, want) && !strings.Contains(body, want) {
					t.Errorf("the message lacks %q:\n%s", want, text)
				}
			}
		})
	}
	for name := range chats {
		if !posted[name] {
			t.Errorf("%s was not tried", name)
		}
	}
	for _, service := range alert.ChatServices() {
		if !slices.ContainsFunc(tests, func(p post) bool { return strings.HasPrefix(chats[p.name], service+"://") }) {
			t.Errorf("service %s was not tried", service)
		}
	}
}

// unescape reads the texts of a JSON or form body, so that they can be searched.
func unescape(body string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		form, err := url.ParseQuery(body)
		if err != nil || len(form) < 2 {
			return body
		}
		v = form
	}
	return fmt.Sprint(v)
}

func TestChatAnswers(t *testing.T) {
	tests := []struct {
		status  int
		header  string
		ok      bool
		refused bool
		later   time.Duration
	}{
		{status: 200, ok: true}, {status: 302, refused: true}, {status: 307, refused: true},
		{status: 400, refused: true}, {status: 401, refused: true}, {status: 404, refused: true}, {status: 410, refused: true},
		{status: 408}, {status: 425}, {status: 429, header: "120", later: 2 * time.Minute}, {status: 503, header: "30", later: 30 * time.Second},
		{status: 500}, {status: 502, header: "soon"},
	}
	for name, target := range chats {
		t.Run(name, func(t *testing.T) {
			f := newFar(t)
			for _, tt := range tests {
				f.asked.Store(0)
				f.answer = func(w http.ResponseWriter, _ *http.Request, _ string) {
					w.Header().Set("Location", "https://elsewhere.example/")
					w.Header().Set("Retry-After", tt.header)
					w.WriteHeader(tt.status)
					_, _ = io.WriteString(w, `{"ok":true}`)
				}
				err := f.notify(target, firing)
				var refusal alert.Refusal
				if (err == nil) != tt.ok || errors.As(err, &refusal) != tt.refused {
					t.Errorf("%d: error %v", tt.status, err)
				}
				var later alert.Later
				if errors.As(err, &later) && later.After != tt.later {
					t.Errorf("%d: later %s, want %s", tt.status, later.After, tt.later)
				}
				if f.asked.Load() != 1 {
					t.Errorf("%d: %d calls within one attempt", tt.status, f.asked.Load())
				}
			}
		})
	}
}

// Slack's API answers 200 to what it does not take, and a proxy to anything: neither is
// delivered, and since nobody can tell for how long, it is tried again.
func TestChatTakesNoForYes(t *testing.T) {
	for name, answer := range map[string]string{"slack bot": `{"ok":false,"error":"channel_not_found"}`, "gotify": "<html>Log in</html>", "ntfy": "<html>Log in</html>"} {
		f := newFar(t)
		f.answer = func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = io.WriteString(w, answer) }
		err := f.notify(chats[name], firing)
		var refusal alert.Refusal
		if err == nil || errors.As(err, &refusal) || name == "slack bot" && !strings.Contains(err.Error(), "channel_not_found") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A receiver that repeats all that it was sent, and connections that fail, tell nobody a token.
func TestChatKeepsTokens(t *testing.T) {
	clean := func(t *testing.T, what, text string) {
		t.Helper()
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s tells %q: %s", what, s, text)
			}
		}
	}
	for name, target := range chats {
		t.Run(name, func(t *testing.T) {
			f := newFar(t)
			for _, status := range []int{200, 400, 500} {
				f.answer = func(w http.ResponseWriter, r *http.Request, body string) {
					w.WriteHeader(status)
					_, _ = fmt.Fprintf(w, "%.700s %s %s %.300s", r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("X-Gotify-Key"), body)
				}
				if err := f.notify(target, firing); err != nil {
					clean(t, "an answer", err.Error())
				} else if status != 200 {
					t.Error("delivered")
				}
			}
			f.answer = func(w http.ResponseWriter, r *http.Request, _ string) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					_, _ = fmt.Fprintf(conn, "no HTTP: %s\r\n\r\n", r.RequestURI)
					_ = conn.Close()
				}
			}
			err := f.notify(target, firing)
			if err == nil {
				t.Fatal("delivered")
			}
			clean(t, "a broken answer", err.Error())
			c := alert.Channel{Kind: alert.Chat, Target: target}
			d := alert.Attempt{Delivery: alert.Delivery{Channel: c}, Err: err}.Detail()
			clean(t, "the log", d.Target+d.Error)
			if service, _, _ := strings.Cut(target, "://"); !strings.HasPrefix(d.Target, service) {
				t.Errorf("the log names %q", d.Target)
			}
			for cut := range len(target) { // whatever goes wrong with an address
				for _, bad := range []string{target[:cut], target + "?" + target[cut:], target[:cut] + "%zz" + target[cut:], target[:cut] + ":" + target[cut:]} {
					if err := alert.CheckChat(bad); err != nil {
						clean(t, "a fault of "+bad, strings.ReplaceAll(err.Error(), alert.ChatExample("slack"), ""))
					}
				}
			}
		})
	}
	if got := alert.ShownChat(chats["telegram"]); got != "telegram://…?chats=@ops" {
		t.Errorf("shown as %s", got)
	}
	if got := alert.ShownChat(chats["mattermost"]); got != "mattermost://chat.example.com/…" {
		t.Errorf("shown as %s", got)
	}
}

// What reads files, runs programs, mails by itself, logs, or posts anywhere is no
// service, neither when it is added nor when an older row has it.
func TestChatRefuses(t *testing.T) {
	f := newFar(t)
	for _, bad := range []string{
		"generic://example.com/x", "generic+https://example.com/x", "script:///bin/sh", "smtp://u:p@mail.example.com/?from=a@b.example&to=c@d.example", "logger://",
		"file:///etc/passwd", "exec://id", "ifttt://key@hook", "bark://key@10.0.0.1", "signal://10.0.0.1:8080/+1/+2", "zulip://a:b@c.example", "notifiarr://key", "lark://open.larksuite.com/x",
		"", "https://hooks.slack.com/services/x", "slack:opaque", "slack://", "slack://dummy@dummy.com", "telegram://dummy@dummy.com", "mattermost://chat.example.com", "pagerduty://events.pagerduty.com/short",
		"pagerduty://events.example.com/5ec1e75ec1e75ec1e75ec1e75ec1e75e", "pagerduty://events.pagerduty.com:8443/5ec1e75ec1e75ec1e75ec1e75ec1e75e", "opsgenie://localhost/seCret1111",
		"teams+https://example.com/workflows/x", "teams+https://logic.azure.com.example.com/x", "teams+https://u:p@x.logic.azure.com/x", "teams://a@b/c/d/e?host=x.webhook.office.com",
		"googlechat://example.com/v1/spaces/x/messages?key=a&token=b", "googlechat://chat.googleapis.com/elsewhere?key=a&token=b", "googlechat://chat.googleapis.com/v1/spaces/x/messages",
		"discord://token@id/raw", "discord://token@id?json=yes", "discord://token@../../other", "ntfy://ntfy.sh/topic?email=a@b.example", "ntfy://ntfy.sh/topic?attach=file:///etc/passwd", "ntfy://ntfy.sh",
		"gotify://push.example.com/AseCret11111111?insecureskipverify=yes", "gotify://push.example.com/short", "matrix://user:password@matrix.example.com/?rooms=!a:b",
		"matrix://:token@matrix.example.com/", "matrix://:token@matrix.example.com/?rooms=%23ops:b", "matrix://:token@matrix.example.com/?rooms=", "matrix://:token@matrix.example.com/?rooms=!a:b,!c:b",
		"telegram://110201543:AA@telegram?chats=1,2", "telegram://110201543:AA@telegram", "telegram://110201543:AA@telegram?chats=1&parsemode=HTML", "rocketchat://chat.example.com/a", "telegram://a b",
	} {
		var fault alert.ChatFault
		if err := alert.CheckChat(bad); !errors.As(err, &fault) || fault.Cure() == "" || len(err.Error()) < 20 {
			t.Errorf("%q is taken when it is added: %v", bad, err)
		}
		var refusal alert.Refusal
		if err := f.notify(bad, firing); !errors.As(err, &refusal) {
			t.Errorf("%q is taken at delivery: %v", bad, err)
		}
	}
	if f.asked.Load() != 0 {
		t.Error("something was posted")
	}
}

func TestChatsKeepToPublicAddresses(t *testing.T) {
	var calls atomic.Int64
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer srv.Close()
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	chats := alert.NewChats(alert.Transport(false))
	for _, form := range []string{"mattermost://%s/seCret", "rocketchat://%s/seCret/seCret", "matrix://:seCret@%s/?rooms=!a:b", "ntfy://%s/seCret", "gotify://%s/AseCret11111111"} {
		for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]"} {
			target := fmt.Sprintf(form, fmt.Sprintf("%s:%d", host, port))
			err := chats.Notify(context.Background(), alert.Channel{Target: target}, firing)
			var refusal alert.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "allow_private") || strings.Contains(err.Error(), "seCret") {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
	if calls.Load() != 0 {
		t.Error("a private address was called")
	}
}

// A server of one's own is reached over the real transport, by its name in the address.
func TestChatOfOnesOwn(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":1}`) }))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	defer srv.Close()
	chats := alert.NewChats(alert.Transport(true))
	for _, form := range []string{"mattermost://%s/seCret", "gotify://%s/AseCret11111111"} {
		if err := chats.Notify(context.Background(), alert.Channel{Target: fmt.Sprintf(form, srv.Listener.Addr())}, firing); err != nil {
			t.Error(err)
		}
	}
	plain := httptest.NewServer(srv.Config.Handler)
	defer plain.Close()
	if err := chats.Notify(context.Background(), alert.Channel{Target: fmt.Sprintf("gotify://%s/AseCret11111111?disabletls=yes", plain.Listener.Addr())}, firing); err != nil {
		t.Error(err)
	}
}

// A receiver that does not answer holds nobody longer than the attempt may take.
func TestChatEndsWithItsAttempt(t *testing.T) {
	release := make(chan struct{})
	f := newFar(t)
	defer close(release)
	for name, target := range chats {
		ctx, cancel := context.WithCancel(context.Background())
		f.answer = func(http.ResponseWriter, *http.Request, string) { cancel(); <-release }
		err := f.chats.Notify(ctx, alert.Channel{Target: target}, firing)
		cancel()
		var refusal alert.Refusal
		if !errors.Is(err, context.Canceled) || errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// However long a message is and whatever a host calls itself, every service takes it,
// the link stays whole and nobody is rung.
func TestChatText(t *testing.T) {
	m := firing
	m.Duties = []string{"PE-P3 a", "PE-P4 b"}
	m.Subject, m.Cure = strings.Repeat("è", 2000), strings.Repeat("cura\n", 500)
	m.Why = "<!channel> <https://evil.example|click> @everyone [a](https://evil.example) " + strings.Repeat("perché ", 500)
	f := newFar(t)
	for name, target := range chats {
		f.asked.Store(0)
		if err := f.notify(target, m); err != nil || f.asked.Load() != 1 {
			t.Errorf("%s: %d requests, %v", name, f.asked.Load(), err)
			continue
		}
		text := unescape(*f.body.Load())
		if name == "pushover" {
			form, err := url.ParseQuery(*f.body.Load())
			if n := len([]rune(form.Get("message"))); err != nil || n > 1024 || len([]rune(form.Get("title"))) > 250 {
				t.Errorf("%s: %d characters (%v)", name, n, err)
			}
		}
		if !strings.Contains(text, m.Link) || !strings.Contains(text, "PE-P4 b") || strings.Contains(text, "PE-P3 a") || len(text) > 5000 {
			t.Errorf("%s: %d bytes:\n%s", name, len(text), text)
		}
		for _, bad := range []string{"<!", "<http", "@everyone", "](http"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: the message has %q", name, bad)
			}
		}
	}
}

// What is wrong for several duties comes once to a chat, and to a pager as it is known
// there: each alert by itself.
func TestChatsGather(t *testing.T) {
	catalogue, err := duties.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{chats["telegram"]: 1, chats["pagerduty"]: 2} {
		f, q := newFar(t), &queue{}
		var said strings.Builder
		for i, duty := range []string{"PE-P3", "WH-P4"} {
			q.list = append(q.list, alert.Delivery{ID: fmt.Sprint("d_", i), Event: alert.Firing, Channel: alert.Channel{ID: "c_1", Kind: alert.Chat, Target: target}, Created: time.Now(),
				Alert: alert.Alert{ID: fmt.Sprint("al_", i), Duty: duty, Asset: "a_1", Name: "mx1", Verdict: duties.Breached, Why: duties.Message{Key: "no_evidence"}}})
		}
		l := &alert.Loop{Queue: q, Notifiers: map[string]alert.Notifier{alert.Chat: f.chats}, Writer: alert.Writer{Catalogue: catalogue},
			Head: func(context.Context, string) (int64, string, error) { return 1, "root", nil }, Log: slog.New(slog.NewTextHandler(&said, nil)), Now: time.Now}
		if _, err := l.Once(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := int(f.asked.Load()); got != want || len(q.settled) != 2 || q.settled[0].Err != nil {
			t.Errorf("%d messages, want %d; settled %+v", got, want, q.settled)
		}
		for _, s := range secrets {
			if said.Len() == 0 || strings.Contains(said.String(), s) {
				t.Errorf("the log says %s", said.String())
			}
		}
	}
}

type queue struct {
	list    []alert.Delivery
	settled []alert.Attempt
	mu      sync.Mutex
}

func (q *queue) Claim(context.Context, time.Time, time.Duration, int) ([]alert.Delivery, error) {
	list := q.list
	q.list = nil
	return list, nil
}

func (q *queue) Settle(_ context.Context, a alert.Attempt) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled = append(q.settled, a)
	return nil
}

// FuzzChat gives addresses that anybody may type: nothing panics, nothing is posted but
// to where the service is, and what is shown of a bad one is nothing.
func FuzzChat(f *testing.F) {
	for _, target := range chats {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		err := alert.CheckChat(target)
		shown := alert.ShownChat(target)
		if err == nil && shown == "…" {
			t.Errorf("%q is taken, and cannot be shown", target)
		}
	})
}
