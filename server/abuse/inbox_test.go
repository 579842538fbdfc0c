package abuse_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/smtp"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/abuse"
)

// complaint is an ARF report of spam (RFC 5965 appendix B.1 in form) about an address.
func complaint(address string) string {
	return strings.ReplaceAll(`From: <fbl@watch.example>
Subject: FW: Offers
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain

This is a mail abuse report.

--part
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Watch/1.0
Version: 1
Source-IP: `+address+`

--part
Content-Type: message/rfc822

From: <someone@shop.example>
Subject: Offers

Buy.
--part--
`, "\n", "\r\n")
}

// The sender and the inbox speak over a real connection; each answer tells the sender
// whether to try again.
func TestInbox(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	var trouble error
	in := abuse.Inbox{Address: "Abuse@proof.example", Log: slog.New(slog.DiscardHandler), Keep: func(_ context.Context, r abuse.Report, mail []byte) error {
		if !strings.Contains(string(mail), "Subject: FW: Offers") {
			t.Errorf("the mail is not whole: %q", mail)
		}
		kept = append(kept, r.Title())
		return trouble
	}}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Serve(ctx, l) }()
	send := func(to, mail string) string {
		err := smtp.SendMail(l.Addr().String(), nil, "fbl@watch.example", []string{to}, []byte(mail))
		if err != nil {
			return strings.ReplaceAll(err.Error(), `"`, "")
		}
		return "taken"
	}
	report := complaint("192.0.2.9")
	for _, tt := range []struct {
		name, to, mail, want string
		trouble              error
	}{
		{"a report", "abuse@PROOF.example", report, "taken", nil},
		{"another mailbox", "root@proof.example", report, "550 5.1.1", nil},
		{"a relay", "abuse@elsewhere.example", report, "550 5.1.1", nil},
		{"words of a person", "abuse@proof.example", "From: a@b.example\r\n\r\nStop it!\r\n", "554 5.6.0 Only reports that a machine can read", nil},
		{"too long", "abuse@proof.example", report + strings.Repeat("x\r\n", abuse.Max/3), "552 5.3.4", nil},
		{"the store is away", "abuse@proof.example", report, "451 4.3.0", errors.New("no database")},
	} {
		trouble = tt.trouble
		if got := send(tt.to, tt.mail); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if len(kept) != 2 || kept[0] != "abuse: 192.0.2.9" {
		t.Errorf("kept %q", kept)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// A flood is put off, not lost: senders try again later.
func TestInboxFlooded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	in := abuse.Inbox{Address: "abuse@proof.example", Log: slog.New(slog.DiscardHandler), Keep: func(context.Context, abuse.Report, []byte) error { kept++; return nil }}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = in.Serve(ctx, l) }() // ends with the test
	c, err := smtp.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	report := []byte(complaint("192.0.2.9"))
	for n := 1; ; n++ {
		if err := errors.Join(c.Mail("fbl@watch.example"), c.Rcpt("abuse@proof.example")); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(report); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			if !strings.HasPrefix(err.Error(), "451") || kept != n-1 || kept < 100 {
				t.Errorf("report %d, %d kept: %v", n, kept, err)
			}
			return
		}
	}
}
