package web_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

var (
	sealIn       = regexp.MustCompile(`name="seal" value="([^"]+)"`)
	reviewInMail = regexp.MustCompile(`https?://[^/\s]+(/review/\S+)`)
)

// seal is that of the digest on a page.
func seal(t *testing.T, body string) url.Values {
	t.Helper()
	m := sealIn.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no digest to confirm in %s", body)
	}
	return url.Values{"seal": {m[1]}}
}

// Who confirms a digest is told so, in their language and without a script: after the
// first click, after a second one, by a mail's link, and when coming back.
func TestDigestSaysWhoConfirmed(t *testing.T) {
	box := newMailbox(t)
	cfg := box.config()
	cfg.Digests, cfg.PublicURL = true, "http://proof.example"
	s := newSiteWith(t, storetest.SQLite(t), cfg)
	s.enroll(s.customer, "erp.bianchi.example", "bk")
	s.now = s.now.Truncate(24 * time.Hour).Add(36 * time.Hour)
	c := s.signedIn(s.add(s.customer, store.RoleAdmin))
	italian := map[string]string{"Accept-Language": "it"}
	page := "/orgs/" + s.customer.ID + "/digest/bk"
	res, shown := s.get(c, page)
	want(t, "before", res, shown, http.StatusOK, "I have looked at all of this<")
	for _, click := range []string{"first", "second"} {
		res, _ := s.send(c, "POST", page, seal(t, shown), nil)
		if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || to != page+"?confirmed=1" {
			t.Fatalf("the %s click: status %d, sent to %q", click, res.StatusCode, to)
		}
		res, body := s.get(c, page+"?confirmed=1")
		want(t, "after the "+click+" click", res, body, http.StatusOK, "Confirmed. The log keeps who looked", "Anna Bianchi", "Record ", "note-good")
		res, body = s.send(c, "GET", page+"?confirmed=1", nil, italian)
		want(t, "in Italian after the "+click+" click", res, body, http.StatusOK, "Confermato. Il registro conserva chi ha controllato", "Anna Bianchi")
	}
	viewer := s.signedIn(s.add(s.customer, store.RoleViewer))
	res, body := s.get(viewer, page)
	want(t, "to others", res, body, http.StatusOK, "Last confirmed:", "Anna Bianchi")
	if st := s.events(s.customer)["review.digest"]; st != 1 {
		t.Errorf("the log states %d confirmations", st)
	}
	if res, body := s.send(c, "POST", "/orgs/"+s.customer.ID+"/channels", url.Values{"kind": {"email"}, "target": {"ced@bianchi.example"}}, nil); res.StatusCode != http.StatusOK {
		t.Fatal(body)
	}
	if err := s.srv.MailDigests(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.srv.Alerts().Once(context.Background()); err != nil {
		t.Fatal(err)
	}
	m := reviewInMail.FindStringSubmatch(box.next().body)
	if m == nil {
		t.Fatal("the mail has no link")
	}
	s.now = s.now.Add(time.Minute)
	anyone := s.browser()
	res, shown = s.get(anyone, m[1])
	want(t, "by the link", res, shown, http.StatusOK, "I have looked at all of this<")
	s.now = s.now.Add(time.Minute)
	for _, click := range []string{"first", "second"} {
		if res, _ := s.send(anyone, "POST", m[1], seal(t, shown), nil); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != m[1] {
			t.Fatalf("the %s click of the link: status %d, sent to %q", click, res.StatusCode, res.Header.Get("Location"))
		}
		res, body := s.get(anyone, m[1])
		want(t, "after the "+click+" click of the link", res, body, http.StatusOK, "Confirmed. The log keeps", "ced@bianchi.example", "by the link of a mail")
		res, body = s.send(anyone, "GET", m[1], nil, italian)
		want(t, "in Italian by the link", res, body, http.StatusOK, "Confermato.", "dal link di una mail")
		if sealIn.MatchString(body) {
			t.Error("a link that was used shows what there is to look at")
		}
	}
	res, body = s.get(c, page)
	want(t, "after the link", res, body, http.StatusOK, "Last confirmed:", "ced@bianchi.example")
	if n := s.events(s.customer)["review.digest"]; n != 2 {
		t.Errorf("the log states %d confirmations", n)
	}
}

// events counts what an organisation's log states, by its word for it.
func (s *site) events(org store.Org) map[string]int {
	s.t.Helper()
	list, err := s.store.Stated(context.Background(), org.ID, s.now.Add(time.Hour), 1<<62, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]int{}
	for _, rec := range list {
		if m := eventIn.FindSubmatch(payloadOf(s.t, rec.Envelope)); m != nil {
			out[string(m[1])]++
		}
	}
	return out
}

var eventIn = regexp.MustCompile(`"event":"([^"]+)"`)

func payloadOf(t testing.TB, envelope []byte) []byte {
	t.Helper()
	env, err := evidence.ParseEnvelope(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return env.Payload()
}
