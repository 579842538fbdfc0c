package eventlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

// explainModSecurity reads an audit log, of which each transaction gives an event per
// message: serial (ModSecurity 2 Data Formats, "Audit Log"; libmodsecurity 3 writes
// three dashes) or JSON (SecAuditLogFormat JSON), one transaction a line.
func (c captured) explainModSecurity(data []byte, at time.Time) (host.Look, error) {
	return explainPacked(data, func(data []byte) (host.Look, error) {
		if first := bytes.TrimLeft(data, " \r\n\t"); len(first) > 0 && first[0] == '{' {
			return c.explain(data, auditProgram, auditJSON)
		}
		return c.explain(data, auditProgram, func(data []byte, each func(Event), foreign func()) int64 {
			return auditSerial(data, newStamps(at), each, foreign)
		})
	})
}

const auditProgram = "modsecurity-audit"

// auditEvent is one message of a transaction, as ModSecurity writes it to error logs.
func auditEvent(at time.Time, client, message string) Event {
	message = strings.TrimPrefix(message, "ModSecurity: ")
	return Event{Time: at, Program: auditProgram, Repeat: 1, Message: []byte("[client " + client + "] ModSecurity: " + message)}
}

var boundary = regexp.MustCompile(`^--(-?[\w@=.-]{1,64}-?)-([A-Z])--\s*$`)

// auditSerial reads sections A (time and client) and H (messages); Z ends a transaction,
// and one without it was cut.
func auditSerial(data []byte, stamps *stamps, each func(Event), foreign func()) (transactions int64) {
	var section byte
	var at time.Time
	client, open := "", false
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if m := boundary.FindSubmatch(line); m != nil {
			switch section = m[2][0]; section {
			case 'A':
				if open {
					foreign()
				}
				transactions++
				client, open = "", true
			case 'Z':
				open = false
			}
			continue
		}
		switch {
		case transactions == 0 && len(line) > 0:
			transactions++ // no boundary before it: not of this form
			foreign()
		case section == 'A' && len(line) > 0:
			h := accessHead(append([]byte("- - "), line...))
			fields := strings.Fields(string(line))
			t, ok := time.Time{}, false
			if h.form == formAccess && len(fields) > 3 {
				t, ok = stamps.read(formAccess, withoutFraction(line[h.from-4:h.to-4]))
			}
			if !ok {
				foreign()
				section, open = 0, false
				continue
			}
			at, client = t, fields[3]
		case section == 'H' && client != "":
			for _, key := range []string{"Message: ", "ModSecurity: "} {
				if text, ok := strings.CutPrefix(string(line), key); ok {
					each(auditEvent(at, client, text))
				}
			}
		}
	}
	if open {
		foreign()
	}
	return transactions
}

// withoutFraction drops the fraction of a second that later versions write.
func withoutFraction(stamp []byte) []byte {
	clock, zone, ok := bytes.Cut(stamp, []byte(" "))
	if whole, _, fraction := bytes.Cut(clock, []byte(".")); ok && fraction {
		return append(append(bytes.Clone(whole), ' '), zone...)
	}
	return stamp
}

// auditJSON reads both libmodsecurity's and ModSecurity 2's JSON.
func auditJSON(data []byte, each func(Event), foreign func()) (transactions int64) {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		transactions++
		var t struct {
			Transaction struct {
				ClientIP string `json:"client_ip"`
				Stamp    string `json:"time_stamp"` // ctime(3)
				Stopped  bool   `json:"is_interrupted"`
				Remote   string `json:"remote_address"`
				Time     string `json:"time"`
				Messages []struct {
					Message string `json:"message"`
					Details struct {
						Match    string `json:"match"`
						RuleID   string `json:"ruleId"`
						Severity string `json:"severity"`
					} `json:"details"`
				} `json:"messages"`
				Response struct {
					Code int `json:"http_code"`
				} `json:"response"`
			} `json:"transaction"`
			Audit struct {
				Messages []string `json:"messages"`
			} `json:"audit_data"`
		}
		if err := json.Unmarshal(line, &t); err != nil {
			foreign()
			continue
		}
		at, ok := auditTime(t.Transaction.Stamp, t.Transaction.Time)
		client := t.Transaction.ClientIP + t.Transaction.Remote
		if !ok || client == "" {
			foreign()
			continue
		}
		for _, text := range t.Audit.Messages {
			each(auditEvent(at, client, text))
		}
		// Which of them refused the request is not told: the one on the sum of them, else the last.
		refused, code := t.Transaction.Stopped || t.Transaction.Response.Code == 403, t.Transaction.Response.Code
		by := len(t.Transaction.Messages) - 1
		for i, m := range t.Transaction.Messages {
			if strings.Contains(m.Message+m.Details.Match, "nomaly") {
				by = i
			}
		}
		for i, m := range t.Transaction.Messages {
			what := "Warning. "
			if refused && i == by {
				what = fmt.Sprintf("Access denied with code %d. ", code)
			}
			each(auditEvent(at, client, what+m.Message+` [id "`+m.Details.RuleID+`"] [severity "`+m.Details.Severity+`"]`))
		}
	}
	return transactions
}

func auditTime(stamp, other string) (time.Time, bool) {
	if t, err := time.Parse("Mon Jan _2 15:04:05 2006", stamp); err == nil {
		return t, true
	}
	t, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(withoutFraction([]byte(other))))
	return t, err == nil
}
