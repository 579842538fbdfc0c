package duties

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Message says why a finding is what it is, and how to cure it, by a key that
// both languages have and arguments that need no translation: names, numbers,
// times, and codes (arguments whose name ends in _codes, comma-separated).
type Message struct {
	Key  string            `json:"key"`
	Args map[string]string `json:"args,omitempty"`
}

// say makes a message of a key and pairs of argument name and value.
func say(key string, pairs ...any) Message {
	m := Message{Key: key}
	for i := 0; i < len(pairs); i += 2 {
		if m.Args == nil {
			m.Args = map[string]string{}
		}
		m.Args[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
	}
	return m
}

// String is the message as JSON, for logs and tables.
func (m Message) String() string {
	b, err := json.Marshal(m)
	if err != nil {
		return m.Key
	}
	return string(b)
}

// wording is one message in one language.
type wording struct {
	Why  string `yaml:"why"`
	Cure string `yaml:"cure"` // empty where there is nothing to cure
}

type wordings struct {
	Messages map[string]wording `yaml:"messages"`
	Codes    map[string]string  `yaml:"codes"`
}

// Render writes a message in a language: why, and what to do, which is empty
// where nothing is to be done. An unknown key gives the key itself.
func (c *Catalogue) Render(lang string, m Message) (why, cure string) {
	words, ok := c.words[lang]
	if !ok {
		words = c.words[English]
	}
	w, ok := words.Messages[m.Key]
	if !ok {
		return m.String(), ""
	}
	var pairs []string
	for name, value := range m.Args {
		if strings.HasSuffix(name, "_codes") {
			value = words.codes(value)
		}
		pairs = append(pairs, "{"+name+"}", value)
	}
	r := strings.NewReplacer(pairs...)
	return r.Replace(w.Why), r.Replace(w.Cure)
}

// Shown is Render for people: days and moments among the arguments are written as the
// language writes them.
func (c *Catalogue) Shown(lang string, m Message) (why, cure string) {
	args := make(map[string]string, len(m.Args))
	for name, value := range m.Args {
		args[name] = dated(lang, value)
	}
	m.Args = args
	return c.Render(lang, m)
}

// moment is how arguments state a day or a moment, with its zone.
var moment = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)( \d\d:\d\d( [A-Z0-9+-]{1,6})?)?$`)

// dated writes an argument that is a day or a moment as the language does.
func dated(lang, value string) string {
	m := moment.FindStringSubmatch(value)
	if m == nil {
		return value
	}
	day, err := time.Parse(time.DateOnly, m[1])
	if err != nil {
		return value
	}
	return Day(lang, day) + m[2]
}

// Day writes the calendar day of a moment, in the zone that it is in, as a language
// does: 27 Nov 2026 or 27/11/2026.
func Day(lang string, t time.Time) string {
	if lang == Italian {
		return t.Format("02/01/2006")
	}
	return t.Format("2 Jan 2006")
}

// Moment is Day with the time of day and the name of the zone.
func Moment(lang string, t time.Time) string { return Day(lang, t) + t.Format(" 15:04 MST") }

// Code puts a code of facts, such as a reason, into words; one that is not known
// stands for itself.
func (c *Catalogue) Code(lang, code string) string {
	words, ok := c.words[lang]
	if !ok {
		words = c.words[English]
	}
	return words.codes(code)
}

func (w wordings) codes(list string) string {
	codes := strings.Split(list, ",")
	for i, code := range codes {
		code = strings.TrimSpace(code)
		if word, ok := w.Codes[code]; ok {
			code = word
		}
		codes[i] = code
	}
	return strings.Join(codes, ", ")
}

// listed joins up to five names and says how many more there are.
func listed(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, +%d", strings.Join(names[:most], ", "), len(names)-most)
}

// clock writes a moment in a zone, with the zone's name.
func clock(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "?"
	}
	return t.In(zone).Format("2006-01-02 15:04 MST")
}

// hours writes a duration in whole hours, or minutes below two hours.
func hours(d time.Duration) string {
	if d < 2*time.Hour {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// MessageKeys lists the keys that the catalogue has words for.
func (c *Catalogue) MessageKeys() []string {
	return slices.Sorted(maps.Keys(c.words[English].Messages))
}
