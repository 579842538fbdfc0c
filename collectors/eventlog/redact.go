package eventlog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/attesto/attesto/collectors/host"
)

// maxSample bounds a sample, in bytes.
const maxSample = 512

const removed = host.Removed

// redactor makes samples of messages: addresses stay, people become pseudonyms
// that only this host can tell, what looks like a secret goes.
type redactor struct{ key []byte }

var (
	mailbox = regexp.MustCompile(`[\pL\pN._%+=~-]+@[\pL\pN.-]+`)
	// Where programs write names: key=value in any of the usual quotes, and homes.
	named  = regexp.MustCompile(`(?i)\b((?:sasl_)?user(?:name)?|r?user|logname|acct|auid|account|login|owner|set_id|sender|from|to)(?:=|["']\s?:\s?)(?:<([^>]*)>|"([^"]*)"|'([^']*)'|([^\s,;)\]]+))`)
	spoken = regexp.MustCompile(`(?i)\b((?:(?:for|by|as) )?(?:(?:invalid|illegal|unknown) )?(?:user(?:name)?|account|mailbox) |for |by )(['"<]?)([\pL\pN._%+@\\$-]+)`)
	home   = regexp.MustCompile(`(/(?:home|Users)/)([^/\s,;:"']+)`)

	// Said in words; what is written as key and value host.WithoutSecrets takes out.
	secret  = regexp.MustCompile(`(?i)([\w.-]*(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?)["']?\s+(?:is|was)\s+)("[^"]*"?|'[^']*'?|[^\s,;&]+)`)
	command = regexp.MustCompile(`(?s)((?:COMMAND|command|cmd)=(?:\S*[\\/])?[\w.-]*).*`)
	// What visitors sent: query strings, and what a firewall for web programs quotes of them.
	query    = regexp.MustCompile(`(/[^\s"?]*\?)[^\s"]+`)
	quoted   = regexp.MustCompile(`(\[(?:data|uri|unique_id) |\(Value: |\bcmd: )[^\]]*`)
	longWord = regexp.MustCompile(`[A-Za-z0-9+/_-]{24,}={0,2}`)
)

// sample makes a sample of a message that a rule matched.
func (r redactor) sample(m Match, e Event) string {
	msg := string(e.Message[:min(len(e.Message), 8*maxSample)])
	msg = command.ReplaceAllString(msg, "$1 "+removed)
	msg = query.ReplaceAllString(msg, "${1}"+removed)
	msg = quoted.ReplaceAllString(msg, "${1}"+removed)
	msg = secret.ReplaceAllString(msg, "${1}"+removed)
	msg = host.WithoutSecrets(msg)
	msg = r.withoutNames(msg, m, e.Message)
	msg = mailbox.ReplaceAllStringFunc(msg, r.pseudonym)
	msg = longWord.ReplaceAllStringFunc(msg, withoutKeys)
	text := cut(printable(e.Program) + ": " + printable(msg))
	if address := printable(m.Address); address != "" && !strings.Contains(text, address) && len(address) < maxSample/4 && len(e.Message) > maxSample/2 {
		text = cutTo(text, maxSample-len(address)-1) + " " + address // it stood behind the cut
	}
	return text
}

// withoutNames puts pseudonyms where the pattern found users, wherever else the
// same names stand as words, and where programs usually write names.
func (r redactor) withoutNames(msg string, m Match, original []byte) string {
	for i, group := range m.names {
		if !strings.HasPrefix(group, "user") || m.sub[2*i] < 0 {
			continue
		}
		name := strings.TrimSpace(string(original[m.sub[2*i]:m.sub[2*i+1]]))
		if name != "" && !public(name) {
			msg = replaceWord(msg, name, r.pseudonym(name))
		}
	}
	msg = home.ReplaceAllStringFunc(msg, func(s string) string {
		p := home.FindStringSubmatch(s)
		return p[1] + r.pseudonym(p[2])
	})
	msg = named.ReplaceAllStringFunc(msg, func(s string) string {
		p := named.FindStringSubmatch(s)
		return p[1] + "=" + r.pseudonym(strings.Join(p[2:], ""))
	})
	return spoken.ReplaceAllStringFunc(msg, func(s string) string {
		p := spoken.FindStringSubmatch(s)
		if ordinary[strings.ToLower(p[3])] {
			return s
		}
		return p[1] + p[2] + r.pseudonym(p[3])
	})
}

// ordinary are words that stand where a name could, in messages that rules match.
var ordinary = map[string]bool{"user": true, "invalid": true, "illegal": true, "unknown": true, "the": true, "a": true, "an": true,
	"not": true, "is": true, "was": true, "has": true, "name": true, "known": true, "from": true, "to": true, "unit": true,
	"group": true, "root": true, "device": true, "memory": true, "this": true, "all": true, "service": true, "authentication": true}

// public are names that every machine has: they tell nothing about a person and
// much about an attack.
func public(name string) bool {
	switch strings.ToLower(name) {
	case "root", "", "-", "unknown", removed, "administrator":
		return true
	}
	return strings.HasPrefix(name, pseudonymPrefix)
}

const pseudonymPrefix = "user-"

// pseudonym is the same for the same name on the same host, and says nothing elsewhere.
func (r redactor) pseudonym(name string) string {
	if public(name) {
		return name
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return name
	}
	h := hmac.New(sha256.New, r.key)
	h.Write([]byte("user\x00" + strings.ToLower(name)))
	return pseudonymPrefix + hex.EncodeToString(h.Sum(nil)[:4])
}

// replaceWord replaces name where it is not a part of a longer word.
func replaceWord(msg, name, by string) string {
	var b strings.Builder
	for {
		i := strings.Index(msg, name)
		if i < 0 {
			b.WriteString(msg)
			return b.String()
		}
		before, _ := utf8.DecodeLastRuneInString(msg[:i])
		after, _ := utf8.DecodeRuneInString(msg[i+len(name):])
		b.WriteString(msg[:i])
		if i > 0 && wordRune(before) || i+len(name) < len(msg) && wordRune(after) {
			b.WriteString(name)
		} else {
			b.WriteString(by)
		}
		msg = msg[i+len(name):]
	}
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// withoutKeys removes what is long and mixed as keys, tokens and hashes are; an
// ordinary long word, a path or an address stays.
func withoutKeys(s string) string {
	if _, err := netip.ParseAddr(s); err == nil {
		return s
	}
	digits, upper, lower := false, false, false
	for _, c := range s {
		digits = digits || c >= '0' && c <= '9'
		upper = upper || c >= 'A' && c <= 'Z'
		lower = lower || c >= 'a' && c <= 'z'
	}
	if digits && (upper || lower) || upper && lower && !strings.Contains(s, "/") {
		return removed
	}
	return s
}

// printable escapes what could steer a terminal or turn the direction of text.
func printable(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func cut(s string) string { return cutTo(s, maxSample) }

func cutTo(s string, most int) string {
	const more = "…"
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len(more)], "") + more
}
