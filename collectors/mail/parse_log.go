package mail

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a line of a mail log tells.
const (
	accepted = iota + 1 // a message was taken from an account
	counted             // for how many recipients a message is
	result              // what became of a message for one recipient
	removed             // a message left the queue
	failure             // a sign-in was refused
	login               // a sign-in succeeded, to read mail
)

// The results of a delivery.
const (
	sent = iota + 1
	deferred
	bounced
)

// entry is what one line tells.
type entry struct {
	what       int
	id         string // of the message in the queue
	account    string // as it signed in, in small letters
	addr       netip.Addr
	recipients int64
	counts     bool // each result of this message counts a recipient: none was stated
	result     int
	next       string // the id under which a filter on this host gave the message back
	times      int64  // of a failure
	byAuth     bool   // a failure that the authentication itself states, beside the server that was asked
}

const (
	postfixID = `[0-9A-Za-z]{5,24}`
	eximID    = `[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})`
)

// Postfix's own texts (smtpd(8), qmgr(8), smtp(8), bounce(8)); they are not translated.
var (
	postfixClient  = regexp.MustCompile(`^(` + postfixID + `): client=[^\[]*\[([0-9a-fA-F.:]+)\](?::\d+)?, .*?sasl_username=([^, ]+)`)
	postfixQueued  = regexp.MustCompile(`^(` + postfixID + `): from=<.*>, size=\d+, nrcpt=(\d{1,9}) \(queue active\)`)
	postfixResult  = regexp.MustCompile(`^(` + postfixID + `): to=<.*>, .*\bstatus=(sent|deferred|bounced|expired|undeliverable)\b(.*)`)
	postfixExpired = regexp.MustCompile(`^(` + postfixID + `): from=<.*>, status=(?:force-)?expired\b`)
	postfixRemoved = regexp.MustCompile(`^(` + postfixID + `): removed$`)
	postfixRefused = regexp.MustCompile(`^(?:warning: )?[^\[]*\[([0-9a-fA-F.:]+)\](?::\d+)?: SASL \S+ authentication failed(?:.*, sasl_username=([^, ]+))?`)
	postfixAgain   = regexp.MustCompile(`queued as (` + postfixID + `)\)`)
)

// parsePostfix reads a message of a Postfix service, such as smtpd.
func parsePostfix(service, msg string) (entry, bool) {
	switch service {
	case "smtpd":
		if m := postfixClient.FindStringSubmatch(msg); m != nil {
			e := entry{what: accepted, id: m[1], account: account(m[3]), addr: address(m[2])}
			if e.id == "NOQUEUE" { // a filter before the queue: it comes in again without its account
				e.id, e.recipients = "", 1
			}
			return e, e.account != ""
		}
		if m := postfixRefused.FindStringSubmatch(msg); m != nil {
			return entry{what: failure, account: account(m[2]), addr: address(m[1]), times: 1}, true
		}
	case "qmgr", "nqmgr", "oqmgr":
		if m := postfixQueued.FindStringSubmatch(msg); m != nil {
			n, err := strconv.ParseInt(m[2], 10, 64)
			return entry{what: counted, id: m[1], recipients: n}, err == nil
		}
		if m := postfixRemoved.FindStringSubmatch(msg); m != nil {
			return entry{what: removed, id: m[1]}, true
		}
		if m := postfixExpired.FindStringSubmatch(msg); m != nil {
			return entry{what: result, id: m[1], result: bounced}, true
		}
	default:
		m := postfixResult.FindStringSubmatch(msg)
		if m == nil {
			break
		}
		e := entry{what: result, id: m[1], result: map[string]int{"sent": sent, "deferred": deferred}[m[2]]}
		if e.result == 0 {
			e.result = bounced
		}
		if again := postfixAgain.FindStringSubmatch(m[3]); again != nil && strings.Contains(msg, "relay=127.0.0.1") {
			e.next = again[1]
		}
		return e, true
	}
	return entry{}, false
}

// Dovecot's texts, of 2.3 and of 2.4, whose login processes say "Logged in" and "Login
// aborted" (login-common/client-common.c). They are not translated.
var (
	dovecotLogin  = regexp.MustCompile(`^[a-z0-9]+-login: (?:Info: )?(?:Login|Logged in): (?:.*, )?user=<([^>]+)>.*?, rip=([0-9a-fA-F.:]+)`)
	dovecotFailed = regexp.MustCompile(`^[a-z0-9]+-login: .*\(auth failed, (\d{1,6}) attempts?.*?\).*?user=<([^>]*)>.*?, rip=([0-9a-fA-F.:]+)`)
	dovecotAuth   = regexp.MustCompile(`^auth(?:-worker)?\b.*?[ :][a-z][a-z-]*\(([^,()]+),([0-9a-fA-F.:]+)(?:,[^)]*)?\): (?:.*[Pp]assword mismatch|pam_authenticate\(\) failed: Authentication failure)`)
)

func parseDovecot(msg string) (entry, bool) {
	msg = strings.TrimPrefix(msg, "dovecot: ")
	if m := dovecotLogin.FindStringSubmatch(msg); m != nil {
		e := entry{what: login, account: account(m[1]), addr: address(m[2])}
		return e, e.account != ""
	}
	if m := dovecotFailed.FindStringSubmatch(msg); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		return entry{what: failure, account: account(m[2]), addr: address(m[3]), times: n}, err == nil && n > 0
	}
	if m := dovecotAuth.FindStringSubmatch(msg); m != nil {
		return entry{what: failure, account: account(m[1]), addr: address(m[2]), times: 1, byAuth: true}, true
	}
	return entry{}, false
}

// Exim's main log (The Exim Specification, 52 Log files).
var (
	eximLine    = regexp.MustCompile(`^(` + eximID + `) (<=|=>|->|>>|\*\*|==|Completed)(?: (.*))?$`)
	eximSubject = regexp.MustCompile(` T="(?:[^"\\]|\\.)*"`)
	eximHost    = regexp.MustCompile(` \[([0-9a-fA-F.:]+)\]`)
	eximRefused = regexp.MustCompile(`^\S+ authenticator failed for (.*): 535 .*?(?:\(set_id=([^)]*)\))?$`)
)

func parseExim(msg string) (entry, bool) {
	if m := eximRefused.FindStringSubmatch(msg); m != nil {
		e := entry{what: failure, account: account(m[2]), times: 1}
		if host := eximHost.FindStringSubmatch(" " + m[1]); host != nil {
			e.addr = address(host[1])
		}
		return e, true
	}
	m := eximLine.FindStringSubmatch(msg)
	if m == nil {
		return entry{}, false
	}
	e := entry{what: result, id: m[1]}
	switch m[2] {
	case "<=":
		return eximArrival(m[1], m[3])
	case "Completed":
		e.what = removed
	case "**":
		e.result = bounced
	case "==":
		e.result = deferred
	default:
		e.result = sent
	}
	return e, true
}

// eximArrival reads a message's arrival. A=authenticator:account says who signed in; the
// recipients stand after " for " only if the log selector received_recipients is on. A
// subject, which a stranger can write, is cut out first.
func eximArrival(id, rest string) (entry, bool) {
	e := entry{what: accepted, id: id, counts: true}
	rest = eximSubject.ReplaceAllString(rest, "")
	if before, after, ok := strings.Cut(rest, " for "); ok {
		rest = before
		e.recipients, e.counts = int64(len(strings.Fields(after))), false
	}
	for field := range strings.FieldsSeq(rest) {
		if who, ok := strings.CutPrefix(field, "A="); ok {
			_, who, _ = strings.Cut(who, ":")
			e.account = account(who)
		}
	}
	if host := eximHost.FindStringSubmatch(rest); host != nil {
		e.addr = address(host[1])
	}
	return e, e.account != ""
}

// parse reads a message of a program; what no mail program wrote tells nothing.
func parse(program, msg string) (entry, bool) {
	switch first, _, _ := strings.Cut(program, "/"); {
	case strings.HasPrefix(first, "postfix") && first != program:
		return parsePostfix(program[strings.LastIndexByte(program, '/')+1:], msg)
	case strings.HasPrefix(program, "exim"):
		return parseExim(msg)
	case program == "dovecot":
		return parseDovecot(msg)
	case strings.HasSuffix(program, "-login"), program == "auth", program == "auth-worker":
		return parseDovecot(program + ": " + msg)
	}
	return entry{}, false
}

const maxAccount = 254 // RFC 5321, 4.5.3.1.3

// account is a name in the form in which it is compared.
func account(s string) string {
	s = strings.ToLower(strings.Trim(strings.TrimSpace(s), "<>"))
	if len(s) > maxAccount || !utf8.ValidString(s) {
		return ""
	}
	return s
}

func address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// network is that of an address, /16 or /32 of IPv6: about what one provider's customers
// move within. Addresses of this host and of private networks are none.
func network(a netip.Addr) (netip.Prefix, bool) {
	if !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return netip.Prefix{}, false
	}
	bits := 16
	if a.Is6() {
		bits = 32
	}
	p, err := a.WithZone("").Prefix(bits)
	return p, err == nil
}
