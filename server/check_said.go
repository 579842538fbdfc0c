package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// saidEvents are the log's words for what people said, each with the table whose row the
// duties are judged by.
var saidEvents = map[string]string{eventAttested: "statement", eventWaived: "statement", eventStanding: "statement", eventNeed: "statement", eventRestore: "statement",
	eventCosigned: "statement", eventOpened: "case", eventStep: "step", eventRead: "read", eventReview: "review", eventDigest: "review",
	eventSilenced: "silence", eventUnsilenced: "silence end"}

// saidKinds are the kinds of statements by the log's words for them.
var saidKinds = map[string]string{eventAttested: duties.StatementAttestation, eventWaived: duties.StatementWaiver, eventStanding: duties.StatementStanding,
	eventNeed: duties.StatementNeed, eventRestore: duties.StatementRestore, eventCosigned: duties.StatementCosigned}

// saidPlace is where the log says it.
type saidPlace struct {
	log   string
	index int64
}

// readSaid reads an organisation's rows of what people said, by the entry that each
// stands for.
func (c *checking) readSaid(l *logCheck) error {
	if c.said != nil {
		return nil
	}
	rows, err := c.r.SaidRows(l.ctx, l.st.Org)
	if err != nil {
		return err
	}
	c.said, c.cases, c.steps = map[saidPlace][]store.SaidRow{}, nil, map[string][]store.SaidRow{}
	c.toldBy, c.reviews = newToldCheck(), map[reviewKey]bool{}
	c.closes, c.withdrawn, c.erasedEnd = map[saidPlace]bool{}, map[string]time.Time{}, nil
	for _, r := range rows {
		at := saidPlace{r.Log, r.Index}
		c.said[at] = append(c.said[at], r)
		switch r.Table {
		case "case":
			c.cases = append(c.cases, r)
		case "review":
			c.reviews[reviewKey{r.Subject, r.At.UnixMilli()}] = true
		case "step":
			c.steps[r.Key] = append(c.steps[r.Key], r)
		}
	}
	return nil
}

// people compares what was signed with the rows that duties are judged by.
func (l *logCheck) people(where string, rec store.Record) {
	at := saidPlace{rec.Log, rec.Index}
	rows := l.said[at]
	delete(l.said, at)
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if err != nil {
		return // said by the record's own proofs, as is what follows
	}
	w, err := evidence.OpenWorkflow(env, l.s.keys.Server.Public())
	if err != nil {
		return
	}
	table, counts := saidEvents[w.Event]
	if w.Event == eventAcked || w.Event == alert.EventDelivered || table == "review" {
		words, readable := l.wordsOf(rec.Place(w.Data))
		if l.toldBy.add(where, w, words) {
			return
		}
		if readable {
			l.reviewed(where, w, words)
		}
	}
	if counts && table != "review" && len(rows) == 0 { // two reviews of one moment are one row
		l.fault(where, "the row of what was said (%s) is missing: duties are judged without it", w.Event)
	}
	if table == "" && w.Event != eventWithdrawn && len(rows) == 0 {
		return
	}
	words, readable := l.wordsOf(rec.Place(w.Data))
	switch {
	case w.Event == eventWithdrawn && readable:
		l.withdrawn[words.Case] = w.At.Time
	case w.Event == eventWithdrawn:
		l.erasedEnd = append(l.erasedEnd, w.At.Time)
	case w.Event == eventStep && words.Closes != nil:
		l.closes[at] = *words.Closes
	}
	for _, r := range rows {
		err := sameSaid(r, w, table)
		if err == nil && readable {
			err = words.same(r, w.Event)
		}
		if err != nil {
			l.fault(where, "%s %s is not as it was signed: %v", r.Table, r.Key, err)
		}
	}
}

// sameSaid compares a row with the statement that it stands for.
func sameSaid(r store.SaidRow, w evidence.Workflow, table string) error {
	switch moved := !evidence.At(r.At).Equal(w.At.Time); {
	case r.Table != table || r.Table == "statement" && r.Word != saidKinds[w.Event]:
		return fmt.Errorf("%s, signed was %s", r.Word, w.Event)
	case r.User != w.By:
		return errors.New("somebody else said it")
	case table == "statement" && r.Subject != w.Duty || table == "silence" && r.Subject != w.Duty || w.Event == eventReview && r.Subject != w.Duty:
		return fmt.Errorf("signed was duty %q", w.Duty)
	case r.Table == "review" && w.Event == eventDigest && (evidence.At(r.At).After(w.At.Time) || w.At.Sub(r.At) > digestHolds), moved && w.Event != eventDigest:
		return fmt.Errorf("it was said at %s", w.At.Format(time.RFC3339))
	case r.Table != "review" && r.Data != w.Data:
		return errors.New("its words are others")
	}
	return nil
}

// saidWords are the words of what was said, of any kind.
type saidWords struct {
	stated
	Digest          duties.Digest
	Alert, Delivery string // that was taken on, or made
	Event           string // of the alert that was delivered
}

// wordsOf reads the words beside an entry; false where they are erased, or where they
// cannot be read, which the record's own proofs say.
func (l *logCheck) wordsOf(place store.Place) (saidWords, bool) {
	b, err := l.r.Blob(l.ctx, place)
	var said struct{ Detail saidWords }
	return said.Detail, err == nil && len(b.Data) > 0 && json.Unmarshal(b.Data, &said) == nil
}

// same compares a row with the words that were signed.
func (d saidWords) same(r store.SaidRow, event string) error {
	switch {
	case event == eventDigest && !slices.ContainsFunc(d.Digest.Duties, func(l duties.Looked) bool { return l.Duty == r.Subject }):
		return fmt.Errorf("duty %s was not looked at", r.Subject)
	case r.Table == "case" && (d.Case != r.Key || d.Workflow != r.Word || d.Service != r.Subject || d.Title != r.About):
		return errors.New("another case was opened")
	case r.Table == "case" && sinceText(r.Since) != d.Since:
		return fmt.Errorf("its term began at %q", d.Since)
	case r.Table == "read" && d.Case != r.Key:
		return errors.New("another case was read")
	case r.Table == "step" && (d.Case != r.Key || d.Step != r.Word || d.Skipped != r.Flag):
		return errors.New("another step was recorded")
	case (r.Table == "silence" || r.Table == "silence end") && d.Silence != r.Key, r.Table == "silence" && d.Part+" "+d.Asset+" "+d.Name != r.About:
		return errors.New("another silence was set")
	case (r.Table == "statement" || r.Table == "silence") && d.Until != r.Until.UTC().Format(time.RFC3339):
		return fmt.Errorf("it holds until %s", d.Until)
	case r.Table == "statement" && d.Good != nil && *d.Good != r.Flag:
		return errors.New("what was found is another")
	case r.Table == "statement" && d.Party != nil && *d.Party != r.Party:
		return fmt.Errorf("%q signed it", *d.Party)
	case r.Table == "statement" && d.about() != r.About:
		return errors.New("what it says to the checks is another")
	}
	return nil
}

// about is what the row of a statement with these words says to the checks.
func (d stated) about() string {
	var about any
	switch {
	case d.Need != nil:
		about = d.Need
	case d.Restore != nil:
		about = d.Restore
	case d.Of != "":
		return duties.CosignedAbout(d.Of)
	default:
		return ""
	}
	b, err := json.Marshal(about)
	if err != nil {
		return err.Error() // is like no row
	}
	return string(b)
}

// closed compares when cases were closed with what closes one: its last step, or a
// withdrawal. Whoever closed one behind the log's back would have it forgotten.
func (c *checking) closed(org string) {
	for _, k := range c.cases {
		if err := c.closing(k); err != nil {
			c.fault("organisation "+org, "case %s is not as it was signed: %v", k.Key, err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.withdrawn)) {
		c.fault("organisation "+org, "case %s was withdrawn at %s, and is not", id, c.withdrawn[id].Format(time.RFC3339))
	}
	for _, at := range c.erasedEnd {
		c.fault("organisation "+org, "the case that was withdrawn at %s is not", at.Format(time.RFC3339))
	}
}

func (c *checking) closing(k store.SaidRow) error {
	steps := c.steps[k.Key]
	for i, s := range steps[min(1, len(steps)):] {
		before := steps[i]
		if c.epochs[s.Log] < c.epochs[before.Log] || s.Log == before.Log && s.Index < before.Index { // the clock may have gone back between, the log has not
			return fmt.Errorf("step %s stands after step %s", s.Word, before.Word)
		}
	}
	if withdrawn, err := c.wasWithdrawn(k); withdrawn || err != nil {
		return err
	}
	switch last, known := c.lastStep(k); {
	case k.Until.IsZero() && known && last:
		return errors.New("it was closed by its last step")
	case !k.Until.IsZero() && (len(steps) == 0 || known && !last):
		return errors.New("steps of it are missing: it is not closed")
	case !k.Until.IsZero() && !k.Until.Equal(steps[len(steps)-1].At):
		return errors.New("it was closed by its last step")
	}
	return nil
}

// wasWithdrawn compares a case with its withdrawal; false for one that has none.
func (c *checking) wasWithdrawn(k store.SaidRow) (bool, error) {
	at, signed := c.withdrawn[k.Key]
	delete(c.withdrawn, k.Key)
	if i := slices.IndexFunc(c.erasedEnd, evidence.At(k.Until).Equal); !signed && k.Flag && i >= 0 {
		at, signed = c.erasedEnd[i], true
		c.erasedEnd = slices.Delete(c.erasedEnd, i, i+1)
	}
	switch {
	case signed && (!k.Flag || !evidence.At(k.Until).Equal(at)):
		return true, fmt.Errorf("it was withdrawn at %s", at.Format(time.RFC3339))
	case k.Flag && !signed:
		return true, errors.New("nobody withdrew it")
	}
	return signed, nil
}

// lastStep reports whether the last step that a case has ended it: by its own words or,
// of steps that did not say so yet, by a built-in workflow. Operators change theirs.
func (c *checking) lastStep(k store.SaidRow) (last, known bool) {
	steps := c.steps[k.Key]
	if len(steps) == 0 {
		return false, true
	}
	end := steps[len(steps)-1]
	if last, known = c.closes[saidPlace{end.Log, end.Index}]; known {
		return last, true
	}
	w, known := c.builtin.Workflow(k.Word)
	return len(steps) >= len(w.Steps), known
}

// unsaid reports rows that no entry of the log stands behind.
func (c *checking) unsaid(org string) {
	var places []string
	for _, rows := range c.said {
		for _, r := range rows {
			places = append(places, r.Table+" "+r.Key)
		}
	}
	slices.Sort(places)
	if len(places) > 0 {
		c.fault("organisation "+org, "no entry of the log says what these rows do: %s", strings.Join(places[:min(len(places), 20)], ", "))
	}
	c.said = nil
}
