package abuse

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// Inbox takes reports of abuse that are mailed to one address (RFC 5321). It relays
// nothing, and accepts a mail only once the report in it is kept.
type Inbox struct {
	Address string         // the one that it takes mail for
	From    []netip.Prefix // the networks whose hosts may send it some
	TLS     *tls.Config    // for STARTTLS (RFC 3207); nil: not offered
	Log     *slog.Logger
	// Keep keeps a report with its bytes, one at a time. Its error makes the sender try
	// again later; one that is ErrFull is nothing that went wrong.
	Keep func(ctx context.Context, r Report, mail []byte) error
}

// ErrFull says that too many reports have come to take another one for now.
var ErrFull = errors.New("too many reports for now")

const patience = time.Minute

// Serve answers on l until ctx ends, and closes it.
func (b Inbox) Serve(ctx context.Context, l net.Listener) error {
	in := &inbox{Inbox: b, ctx: ctx, turn: make(chan struct{}, 1)}
	srv := smtp.NewServer(in)
	srv.Domain = b.Address[strings.LastIndexByte(b.Address, '@')+1:]
	srv.MaxMessageBytes, srv.MaxRecipients = Max, 1
	srv.ReadTimeout, srv.WriteTimeout = patience, patience
	srv.TLSConfig, srv.ErrorLog = b.TLS, slog.NewLogLogger(b.Log.Handler(), slog.LevelDebug) // a stranger can make it speak without end
	defer context.AfterFunc(ctx, func() {
		if err := srv.Close(); err != nil {
			b.Log.Warn("closing the inbox for reports of abuse", "err", err)
		}
	})()
	err := srv.Serve(&door{Listener: l, from: b.From, in: map[netip.Addr]int{}, away: func(from net.Addr, why string) {
		b.Log.Debug("a connection to the inbox was refused", "from", from.String(), "answer", why)
	}})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type inbox struct {
	Inbox
	ctx  context.Context
	turn chan struct{} // whoever holds it keeps a report
}

func reply(code int, enhanced smtp.EnhancedCode, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
}

// NewSession begins one with a sender.
func (in *inbox) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &session{in: in}, nil
}

// session is one conversation with a sender.
type session struct {
	in *inbox
}

// Reset forgets the mail under way: nothing is kept of one before its end.
func (*session) Reset() {}

// Logout ends the conversation.
func (*session) Logout() error { return nil }

// Mail takes any sender: a report comes from anybody.
func (*session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt refuses all recipients but one.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if !strings.EqualFold(to, s.in.Address) {
		return reply(550, smtp.EnhancedCode{5, 1, 1}, "No such mailbox here")
	}
	return nil
}

// Data keeps the report in a mail.
func (s *session) Data(r io.Reader) error {
	mail, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	report, err := Parse(mail)
	if err != nil {
		s.in.Log.Info("a mail that is no report of abuse was refused", "err", err)
		return reply(554, smtp.EnhancedCode{5, 6, 0}, "Only reports that a machine can read are taken here, as ARF (RFC 5965) or X-ARF: "+plain(err.Error(), 300))
	}
	return s.in.keep(report, mail)
}

func (in *inbox) keep(r Report, mail []byte) error {
	ctx, cancel := context.WithTimeout(in.ctx, patience)
	defer cancel()
	select {
	case in.turn <- struct{}{}:
		defer func() { <-in.turn }()
	case <-ctx.Done():
		return reply(451, smtp.EnhancedCode{4, 3, 2}, "Busy or shutting down, try again later")
	}
	err := in.Keep(ctx, r, mail)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrFull):
		in.Log.Info("a report of abuse is put off", "why", err)
		return reply(451, smtp.EnhancedCode{4, 7, 1}, "Too many reports for now, try again later")
	}
	in.Log.Error("a report of abuse could not be kept, its sender will try again", "err", err)
	return reply(451, smtp.EnhancedCode{4, 3, 0}, "The report could not be kept, try again later")
}

// CheckAddress says why a text is no address of one mailbox.
func CheckAddress(s string) error {
	if why := mailbox(s); why != "" {
		return errors.New(why)
	}
	return nil
}
