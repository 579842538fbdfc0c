package eventlog

import (
	"bytes"
	"regexp"
	"strings"
)

// form is how a line is laid out around its time.
type form uint8

const (
	formNone   form = iota
	formSyslog      // the time first: RFC 3164, RFC 3339, ISO 8601
	formAccess      // 192.0.2.1 - - [23/Nov/2026:11:00:00 +0100] "GET …": NCSA, as Apache, nginx and others write it
	formApache      // [Mon Nov 23 11:00:00.123456 2026] [core:error] …: Apache's ErrorLog
	formNginx       // 2026/11/23 11:00:00 [error] 7#7: *1 …: ngx_log.c
	formAudit       // type=USER_LOGIN msg=audit(1795431600.123:456): …: auditd.conf(5), log_format
	formC           // Mon Nov 23 11:00:00 2026 [pid 7] …: ctime(3), vsftpd
	formSquare      // [2026-11-23 11:00:00 +0100], [23-Nov-2026 11:00:00 +0100]:, [23/Nov/2026 11:00:00]: panels, Roundcube, Kerio
	formNamed       // 23-Nov-2026 11:00:00.123 …: BIND's channels
	formMySQL       // 261123 11:00:00 [Warning] …: MySQL and MariaDB before 10.1
)

// head is where a line's time stands, and its form.
type head struct {
	from, to int
	form     form
}

// programOf is whose log a form is, where its lines do not say.
var programOf = map[form]string{formAccess: "access", formApache: "apache-error", formNginx: "nginx-error", formAudit: "audit", formNamed: "named", formMySQL: "mysqld"}

// maxLead is how far into an access log's line its time may begin: a virtual host,
// an address and a user's name stand before.
const maxLead = 400

// locate finds the time of a line cheaply, without reading it.
func locate(b []byte) head {
	if n := stampLen(b); n > 0 {
		return head{0, n, formSyslog}
	}
	if len(b) < 15 {
		return head{}
	}
	switch {
	case b[3] == ' ' && b[8] == '-' && b[11] == '-' && b[14] == ' ' && len(b) > 28 && b[17] == ':' && b[20] == ':' && b[23] == ' ':
		// "Mon 2026-11-23 11:00:00 CET": journalctl -o short-full
		if zone := bytes.IndexByte(b[24:], ' '); zone > 1 && zone < 6 {
			return head{4, 24 + zone, formSyslog}
		}
	case b[0] == '[':
		if h := square(b); h.form != formNone {
			return h
		}
	case b[4] == '/' && b[7] == '/' && len(b) > 19 && b[10] == ' ' && b[13] == ':' && b[16] == ':' && b[19] == ' ':
		return head{0, 19, formNginx}
	case b[3] == ' ' && b[7] == ' ' && len(b) > 24 && b[13] == ':' && b[16] == ':' && b[19] == ' ' && b[24] == ' ':
		return head{0, 24, formC}
	case b[3] == ' ' && b[7] == ' ' && len(b) > 24 && b[9] == ' ' && b[12] == ':' && b[15] == ':' && b[18] == ' ' && b[23] == ' ':
		return head{0, 23, formC} // "Mon Jun 8"
	case len(b) > 21 && b[2] == '-' && b[6] == '-' && b[11] == ' ' && b[14] == ':' && b[17] == ':':
		to := 20
		for to < len(b) && to < 30 && (b[to] == '.' || isDigit(b[to])) {
			to++
		}
		return head{0, to, formNamed}
	case len(b) > 19 && b[4] == ':' && b[7] == ':' && b[10] == '-' && b[13] == ':' && b[16] == ':' && b[19] == ':':
		return head{0, 19, formSquare} // DirectAdmin
	case b[6] == ' ' && b[9] == ':' && b[12] == ':' && isDigit(b[0]) && isDigit(b[5]) && len(b) > 15 && b[15] == ' ':
		return head{0, 15, formMySQL}
	case bytes.HasPrefix(b, []byte("type=")) || bytes.HasPrefix(b, []byte("node=")):
		return auditHead(b)
	}
	return accessHead(b)
}

// square is a time in brackets at the start.
func square(b []byte) head {
	end := bytes.IndexByte(b[:min(len(b), 48)], ']')
	if end < 18 {
		return head{}
	}
	in := b[1:end]
	switch {
	case in[3] == ' ' && in[7] == ' ' && in[13] == ':' && len(in) >= 24:
		return head{1, end, formApache}
	case in[4] == '-' && in[7] == '-' && in[13] == ':', in[4] == ':' && in[7] == ':' && in[13] == ':':
		return head{1, end, formSquare}
	case len(in) >= 20 && (in[2] == '/' && in[6] == '/' || in[2] == '-' && in[6] == '-') && in[11] == ' ' && in[14] == ':':
		return head{1, end, formSquare}
	}
	return head{}
}

func auditHead(b []byte) head {
	from := bytes.Index(b[:min(len(b), 300)], []byte(" msg=audit("))
	if from < 0 {
		return head{}
	}
	from += len(" msg=audit(")
	n := bytes.IndexByte(b[from:min(len(b), from+32)], ':')
	if n < 10 {
		return head{}
	}
	return head{from, from + n, formAudit}
}

// accessHead looks for [23/Nov/2026:11:00:00 +0100].
func accessHead(b []byte) head {
	lead := b[:min(len(b), maxLead)]
	for at := 0; ; {
		i := bytes.IndexByte(lead[at:], '[')
		if i < 0 {
			return head{}
		}
		at += i + 1
		end := bytes.IndexByte(b[at:min(len(b), at+36)], ']')
		if end < 20 {
			continue
		}
		in := b[at : at+end]
		if slash := bytes.IndexByte(in[:3], '/'); slash > 0 && in[slash+4] == '/' && in[slash+9] == ':' && in[slash+12] == ':' && in[slash+15] == ':' && at > 2 {
			return head{at, at + end, formAccess}
		}
	}
}

// behind is the message of a line whose time does not stand alone: of forms whose
// beginning says who came, the whole line.
func behind(b []byte, h head) []byte {
	switch h.form {
	case formAccess, formAudit:
		return b
	case formApache, formSquare:
		rest := bytes.TrimPrefix(b[h.to+1:], []byte(":"))
		return bytes.TrimLeft(rest, " ")
	}
	return bytes.TrimLeft(b[h.to:], " ")
}

// webServers write their own forms through syslog too.
var webServers = map[string]bool{"nginx": true, "apache2": true, "apache": true, "httpd": true, "access": true, "access_log": true, "error_log": true,
	"audispd": true, "audisp-syslog": true, "named": true, "mysqld": true, "mysql": true, "mariadbd": true, "mariadb": true, "exim": true}

// repeatedTag is what a syslog on the way may have put before a message again.
var repeatedTag = regexp.MustCompile(`^[\w.-]+ (?:nginx|apache2|httpd)(?:\[\d+\])?: `)

// inner takes a message apart that has a form of its own behind that of syslog. The
// time is that of syslog.
func (e *Event) inner() {
	server, _, _ := strings.Cut(e.Program, "/") // "httpd/site" is Apache's syslog:facility:tag
	if !webServers[server] {
		return
	}
	e.Program = server
	if tag := repeatedTag.FindIndex(e.Message); tag != nil {
		e.Message = e.Message[tag[1]:]
	}
	switch h := locate(e.Message); h.form {
	case formNone:
	case formSyslog:
		e.Message = withoutPID(bytes.TrimLeft(e.Message[h.to:], " "))
	default:
		e.Program, e.Message = programOf[h.form], behind(e.Message, h)
	}
}
