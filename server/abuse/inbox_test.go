package abuse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
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

// here is where the tests send from.
var here = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// Strangers, and too many at a time from one host, are sent away before they can say
// anything; who leaves makes room.
func TestInboxDoor(t *testing.T) {
	for _, tt := range []struct {
		name  string
		from  string
		conns int
		want  string
	}{{"a stranger", "192.0.2.0/24", 0, "554 5.7.1"}, {"the first", "127.0.0.0/8", 0, "220"}, {"one more than may", "127.0.0.0/8", 10, "421 4.7.0"}} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			in := abuse.Inbox{Address: "abuse@proof.example", From: []netip.Prefix{netip.MustParsePrefix(tt.from)}, Log: slog.New(slog.DiscardHandler)}
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- in.Serve(ctx, l) }()
			greeting := func() (net.Conn, string) {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				line, err := bufio.NewReader(c).ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				return c, line
			}
			var inside []net.Conn
			for range tt.conns {
				c, line := greeting()
				if inside = append(inside, c); !strings.HasPrefix(line, "220") {
					t.Fatalf("connection %d: %s", len(inside), line)
				}
			}
			last, line := greeting()
			if !strings.HasPrefix(line, tt.want) {
				t.Errorf("%s, want %s", line, tt.want)
			}
			for _, c := range append(inside, last) {
				_ = c.Close()
			}
			for line := "421"; tt.conns > 0 && strings.HasPrefix(line, "421"); { // until the server has seen that they left
				var c net.Conn
				c, line = greeting()
				_ = c.Close()
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
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
	in := abuse.Inbox{Address: "Abuse@proof.example", From: here, Log: slog.New(slog.DiscardHandler), Keep: func(_ context.Context, r abuse.Report, mail []byte) error {
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
		{"too many", "abuse@proof.example", report, "451 4.7.1", fmt.Errorf("so many wait: %w", abuse.ErrFull)},
	} {
		trouble = tt.trouble
		if got := send(tt.to, tt.mail); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if len(kept) != 3 || kept[0] != "abuse: 192.0.2.9, shop.example" {
		t.Errorf("kept %q", kept)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("after the end: %v", err)
	}
}
