package evidence

import (
	"strconv"
	"strings"
	"time"
)

// cutter takes texts apart that this package has written: keys, order and spacing
// are fixed, and no value needs an escape. That costs a tenth of decoding JSON.
// Whatever it meets that is otherwise makes it fail, and the careful way decides;
// what it reads, the careful way reads as the same.
type cutter struct {
	rest   string
	failed bool
}

// text passes over a fixed text.
func (c *cutter) text(s string) {
	rest, ok := strings.CutPrefix(c.rest, s)
	if !ok {
		c.failed = true
		return
	}
	c.rest = rest
}

// next reports whether a fixed text comes next, and passes over it.
func (c *cutter) next(s string) bool {
	rest, ok := strings.CutPrefix(c.rest, s)
	if ok {
		c.rest = rest
	}
	return ok
}

// str reads a string of printable ASCII without quotes and escapes.
func (c *cutter) str() string {
	if c.text(`"`); c.failed {
		return ""
	}
	for i := 0; i < len(c.rest); i++ {
		switch b := c.rest[i]; {
		case b == '"':
			s := c.rest[:i]
			c.rest = c.rest[i+1:]
			return s
		case b < ' ' || b > '~' || b == '\\':
			c.failed = true
			return ""
		}
	}
	c.failed = true
	return ""
}

// num reads an integer in its one spelling.
func (c *cutter) num() int64 {
	end := 0
	for end < len(c.rest) && (c.rest[end] >= '0' && c.rest[end] <= '9' || end == 0 && c.rest[0] == '-') {
		end++
	}
	digits := c.rest[:end]
	n, err := strconv.ParseInt(digits, 10, 64)
	if unsigned := strings.TrimPrefix(digits, "-"); err != nil || len(digits) > 18 || unsigned[0] == '0' && digits != "0" {
		c.failed = true
		return 0
	}
	c.rest = c.rest[end:]
	return n
}

func (c *cutter) boolean() bool {
	if c.next("true") {
		return true
	}
	c.text("false")
	return false
}

func (c *cutter) digest() Digest {
	d, err := ParseDigest(c.str())
	c.failed = c.failed || err != nil
	return d
}

func (c *cutter) time() Time {
	t, ok := parseTime(c.str())
	c.failed = c.failed || !ok
	return t
}

func (c *cutter) head() Head {
	c.text(`{"origin":`)
	h := Head{Origin: c.str()}
	c.text(`,"size":`)
	h.Size = c.num()
	c.text(`,"root":`)
	raw, err := DecodeBase64(c.str())
	if err != nil || len(raw) != len(h.Root) {
		c.failed = true
		return h
	}
	copy(h.Root[:], raw)
	c.text(`}`)
	return h
}

func (c *cutter) clock() Clock {
	c.text(`{"now":`)
	k := Clock{Now: c.time()}
	c.text(`,"synced":`)
	k.Synced = c.boolean()
	c.text(`,"maxErrorMs":`)
	k.MaxErrorMs = c.num()
	c.text(`,"bootId":`)
	k.BootID = c.str()
	c.text(`,"uptimeMs":`)
	k.UptimeMs = c.num()
	c.text(`,"serverDeltaMs":`)
	k.ServerDeltaMs = c.num()
	c.text(`}`)
	return k
}

// list reads [x,y,…] of at most limit elements.
func (c *cutter) list(limit int, element func()) {
	c.text(`[`)
	for n := 0; !c.failed && !c.next(`]`); n++ {
		if n > 0 {
			c.text(`,`)
		}
		if n == limit {
			c.failed = true
		}
		element()
	}
}

func (c *cutter) item() (j itemJSON) {
	c.text(`{"kind":`)
	j.Kind = Kind(c.str())
	c.text(`,"schema":`)
	j.Schema = int(c.num())
	c.text(`,"subjects":`)
	c.list(2, func() { j.Subjects = append(j.Subjects, int(c.num())) })
	c.text(`,"from":`)
	j.From = c.time()
	c.text(`,"to":`)
	j.To = c.time()
	c.text(`,"outcome":`)
	if j.Outcome.UnmarshalText([]byte(c.str())) != nil {
		c.failed = true
	}
	if c.next(`,"reason":`) {
		j.Reason = c.str()
	}
	c.text(`}`)
	return j
}

// cutStatement reads the statement of a record.
func cutStatement(b []byte) (s statement[recordJSON], ok bool) {
	c := cutter{rest: string(b)}
	c.text(`{"_type":`)
	s.Type = c.str()
	c.text(`,"subject":`)
	c.list(2*MaxItems, func() {
		c.text(`{"name":`)
		sub := subject{Name: c.str()}
		c.text(`,"digest":{"sha256":`)
		sub.Digest.SHA256 = c.digest()
		c.text(`}}`)
		s.Subject = append(s.Subject, sub)
	})
	c.text(`,"predicateType":`)
	s.PredicateType = c.str()
	p := &s.Predicate
	c.text(`,"predicate":{"org":`)
	p.Org = c.str()
	c.text(`,"agent":`)
	p.Agent = c.str()
	c.text(`,"seq":`)
	seq := c.num()
	p.Seq = uint64(seq)
	c.text(`,"prev":`)
	p.Prev = c.digest()
	c.text(`,"log":`)
	p.Log = c.head()
	c.text(`,"items":`)
	c.list(MaxItems, func() { p.Items = append(p.Items, c.item()) })
	c.text(`,"clock":`)
	p.Clock = c.clock()
	c.text(`,"collector":{"name":`)
	p.Collector.Name = c.str()
	c.text(`,"version":`)
	p.Collector.Version = c.str()
	c.text(`,"sha256":`)
	p.Collector.SHA256 = c.digest()
	c.text(`},"lost":`)
	p.Lost = int(c.num())
	c.text(`}}`)
	return s, !c.failed && seq >= 0 && c.rest == "" && s.Type == statementType && s.PredicateType == PredicateEvidence
}

// cutEntry reads the line of a log entry, without its newline.
func cutEntry(line []byte) (e Entry, ok bool) {
	c := cutter{rest: string(line)}
	c.text(`{"v":`)
	e.V = int(c.num())
	c.text(`,"time":`)
	e.Time = c.time()
	c.text(`,"type":`)
	e.Type = EntryType(c.str())
	c.text(`,"agent":`)
	e.Agent = c.str()
	c.text(`,"seq":`)
	seq := c.num()
	e.Seq = uint64(seq)
	c.text(`,"prev":`)
	e.Prev = c.digest()
	c.text(`,"stmt":`)
	e.Stmt = c.digest()
	c.text(`,"env":`)
	e.Env = c.digest()
	c.text(`}`)
	return e, !c.failed && seq >= 0 && c.rest == ""
}

// parseTime reads exactly what Time writes.
func parseTime(s string) (Time, bool) {
	const form = "0000-00-00T00:00:00.000Z"
	if len(s) != len(form) {
		return Time{}, false
	}
	var n [7]int
	field := 0
	for i := range len(form) {
		switch d := s[i] - '0'; {
		case form[i] != '0':
			if s[i] != form[i] {
				return Time{}, false
			}
			field++
		case d > 9:
			return Time{}, false
		default:
			n[min(field, 6)] = n[min(field, 6)]*10 + int(d)
		}
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*int(time.Millisecond), time.UTC)
	y, m, d := t.Date()
	ok := y == n[0] && y >= 1970 && int(m) == n[1] && d == n[2] && n[3] < 24 && n[4] < 60 && n[5] < 60
	return Time{t}, ok
}
