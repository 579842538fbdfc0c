package alert

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// The ways to secure the connection to the relay.
const (
	TLSStart = "starttls" // required after plain greeting
	TLSFull  = "tls"      // from the first byte
	TLSNone  = "none"
)

// Mailer sends messages through an SMTP relay (RFC 5321).
type Mailer struct {
	Host         string
	Port         int
	User         string
	PasswordFile string // read at each mail, so that it can be changed
	From         string
	TLS          string // TLSStart, TLSFull or TLSNone
	Domain       string // right side of Message-IDs: the server's name
}

// smtpTimeout bounds each step of a conversation with the relay.
const smtpTimeout = 30 * time.Second

// Notify sends a message as a mail in plain text. A permanent answer (5yz, RFC
// 5321 section 4.2.1) to sender, recipient or content is a Refusal. The
// Message-ID is made of the delivery's id and stays the same over all attempts.
func (m Mailer) Notify(ctx context.Context, c Channel, msg Message) error {
	out, err := m.compose(c.Target, msg)
	if err != nil {
		return Refusal{err}
	}
	client, err := m.client()
	if err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return fmt.Errorf("connecting to mail relay %s:%d: %w", m.Host, m.Port, err)
	}
	err = client.Send(out)
	closed := client.Close()
	if out.IsDelivered() {
		return nil // how the relay says goodbye changes nothing
	}
	if err == nil {
		err = errors.Join(errors.New("the relay did not confirm the mail"), closed)
	}
	err = fmt.Errorf("sending to %s through %s:%d: %w", c.Target, m.Host, m.Port, err)
	var sent *gomail.SendError
	if errors.As(err, &sent) && sent.ErrorCode() >= 500 && sent.ErrorCode() < 600 {
		return Refusal{err}
	}
	return err
}

func (m Mailer) compose(to string, msg Message) (*gomail.Msg, error) {
	out := gomail.NewMsg(gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent())
	if err := out.From(m.From); err != nil {
		return nil, fmt.Errorf("smtp.from %q: %w", m.From, err)
	}
	if err := out.To(to); err != nil {
		return nil, fmt.Errorf("address %q: %w", to, err)
	}
	out.SetMessageIDWithValue(msg.ID + "@" + m.Domain)
	out.SetDateWithValue(time.Now())
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetGenHeader("X-Attesto-Event", msg.Event)
	if msg.Event == Resolved {
		out.SetGenHeader("X-Auto-Response-Suppress", "All")
	}
	out.Subject(msg.Subject)
	out.SetBodyString(gomail.TypeTextPlain, msg.Body)
	return out, nil
}

func (m Mailer) client() (*gomail.Client, error) {
	options := []gomail.Option{gomail.WithPort(m.Port), gomail.WithTimeout(smtpTimeout), gomail.WithoutNoop()}
	switch m.TLS {
	case TLSFull:
		options = append(options, gomail.WithSSL())
	case TLSNone:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.User != "" {
		password, err := os.ReadFile(m.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("reading smtp.password_file: %w", err)
		}
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.User),
			gomail.WithPassword(strings.TrimSpace(string(password))))
	}
	return gomail.NewClient(m.Host, options...)
}

// CheckEmail says why an address cannot be a channel's target, or nil.
func CheckEmail(address string) error {
	a, err := mail.ParseAddress(address)
	if err != nil || a.Address != address {
		return fmt.Errorf("e-mail address %q: want NAME@DOMAIN", address)
	}
	return nil
}
