package bundle

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// oscal writes the duties as an OSCAL catalog and how they stood as OSCAL assessment
// results, for programs that read those: oscal/catalog.json, oscal/assessment-results.json.
func (w *writer) oscal() error {
	catalog, err := json.MarshalIndent(map[string]oscalCatalog{"catalog": w.oscalCatalog()}, "", " ")
	if err != nil {
		return err
	}
	if err := w.put("oscal/catalog.json", append(catalog, '\n')); err != nil {
		return err
	}
	doc, err := w.oscalResults(evidence.Sum(append(catalog, '\n')))
	if err != nil {
		return err
	}
	results, err := json.MarshalIndent(map[string]oscalResults{"assessment-results": doc}, "", " ")
	if err != nil {
		return err
	}
	return w.put("oscal/assessment-results.json", append(results, '\n'))
}

// id is an identifier that follows from what it names (RFC 9562, version 5), so that
// the same evidence has the same one in each export.
func (w *writer) id(of ...string) string {
	name := strings.Join(append([]string{w.Keyset.Server, w.org.ID}, of...), "\x00")
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(oscalNS+"\x00"+name)).String()
}

func (w *writer) metadata(title string) oscalMetadata {
	return oscalMetadata{Title: title, LastModified: moment(w.m.Created.Time), Version: w.Version, OSCALVersion: oscalVersion}
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func prop(name, value string) oscalProp { return oscalProp{Name: name, NS: oscalNS, Value: value} }

func controlID(duty string) string { return strings.ToLower(duty) }

func objectiveID(duty string) string { return controlID(duty) + "_obj" }

// oscalCatalog lists the duties that the bundle speaks of, a group a service.
func (w *writer) oscalCatalog() oscalCatalog {
	c := oscalCatalog{UUID: w.id("catalog"), Metadata: w.metadata("Shared responsibilities for data protection")}
	for _, line := range w.duties {
		d, _ := w.Catalogue.Duty(line.ID)
		if n := len(c.Groups); n == 0 || c.Groups[n-1].ID != d.Service {
			c.Groups = append(c.Groups, oscalGroup{ID: d.Service, Title: w.Catalogue.ServiceTitle(duties.English, d.Service)})
		}
		g := &c.Groups[len(c.Groups)-1]
		g.Controls = append(g.Controls, oscalControlOf(d))
	}
	return c
}

func oscalControlOf(d duties.Duty) oscalControl {
	var proofs []string
	for _, p := range d.Parts {
		proofs = append(proofs, p.Title.In(duties.English))
	}
	how := "each of: "
	if d.Any {
		how = "one of: "
	}
	props := []oscalProp{prop("party", d.Party), prop("cadence", d.CadenceText.In(duties.English)), prop("title-it", d.Title.In(duties.Italian))}
	for _, norm := range []struct {
		name    string
		clauses []string
	}{{"gdpr", d.Family.GDPR}, {"reg-2024-2690", d.Family.NIS2}, {"dlgs-138-2024-art-24-2", d.Family.Dlgs138}, {"iso-27001-2022", d.Family.ISO27001}, {"agid", d.Family.AgID}, {"code-of-conduct", d.Family.Codes}} {
		for _, clause := range norm.clauses {
			props = append(props, prop(norm.name, clause))
		}
	}
	return oscalControl{ID: controlID(d.ID), Title: d.Title.In(duties.English), Props: props,
		Parts: []oscalPart{
			{ID: controlID(d.ID) + "_smt", Name: "statement", Prose: d.Title.In(duties.English)},
			{ID: objectiveID(d.ID), Name: "assessment-objective", Prose: "Proven by " + how + strings.Join(proofs, "; ")},
		}}
}

// oscalResults puts each duty's verdict into a finding, and each record that one rests
// on into an observation.
func (w *writer) oscalResults(catalog evidence.Digest) (oscalResults, error) {
	plan := w.id("plan")
	doc := oscalResults{UUID: w.id("results", w.m.From.String(), w.m.To.String(), w.m.Created.String()),
		Metadata: w.metadata("Duties of " + w.org.Name), ImportAP: oscalHref{Href: "#" + plan}}
	doc.BackMatter.Resources = []oscalResource{{UUID: plan, Title: "The duties and how each is proven",
		RLinks: []oscalRLink{{Href: "catalog.json", Hashes: sha256Of(catalog)}}}}
	r := oscalResult{UUID: w.id("result", w.m.From.String(), w.m.To.String(), w.m.Created.String()), Title: "Evidence of the period",
		Description: fmt.Sprintf("How each duty stood on %s, by the evidence that was received up to then.", moment(w.m.Created.Time)),
		Start:       moment(w.m.From.Time), End: moment(w.m.To.Time)}
	reviewed, seen := oscalSelection{}, map[evidence.LogPlace]bool{}
	for _, d := range w.duties {
		if d.State == duties.NotApplicable.String() {
			reviewed.Exclude = append(reviewed.Exclude, oscalControlID{controlID(d.ID)})
			continue
		}
		reviewed.Include = append(reviewed.Include, oscalControlID{controlID(d.ID)})
		r.Findings = append(r.Findings, w.finding(d))
		for _, place := range d.Evidence {
			if seen[place] {
				continue
			}
			seen[place] = true
			o, res, ok, err := w.observation(d, place)
			if err != nil {
				return doc, err
			}
			if ok {
				r.Observations, doc.BackMatter.Resources = append(r.Observations, o), append(doc.BackMatter.Resources, res)
			}
		}
	}
	r.Reviewed.Selections = []oscalSelection{reviewed}
	doc.Results = []oscalResult{r}
	return doc, nil
}

func (w *writer) finding(d Duty) oscalFinding {
	f := oscalFinding{UUID: w.id("finding", d.ID, d.Judged.String()), Title: d.Title[duties.English], Description: d.Why[duties.English],
		Props: []oscalProp{prop("state", d.State), prop("since", moment(d.Since.Time)), prop("judged", moment(d.Judged.Time)),
			prop("windows-expected", strconv.Itoa(d.Period.Expected)), prop("windows-covered", strconv.Itoa(d.Period.Covered)),
			prop("windows-late", strconv.Itoa(d.Period.Late))},
		Target: oscalTarget{Type: "objective-id", ID: objectiveID(d.ID), Status: statusOf(d.State)}}
	for _, place := range d.Evidence {
		if _, ok := w.epochOf(place); ok {
			f.Related = append(f.Related, oscalRelated{w.id("observation", place.Origin, strconv.FormatInt(place.Index, 10))})
		}
	}
	return f
}

// statusOf says only of what is fulfilled, or had no occasion while the watch was kept,
// that its objective is satisfied. What could not be told is not.
func statusOf(state string) oscalStatus {
	switch state {
	case duties.Fulfilled.String():
		return oscalStatus{"satisfied", "pass"}
	case duties.NoOccasion.String():
		return oscalStatus{"satisfied", "other"}
	case duties.Breached.String():
		return oscalStatus{"not-satisfied", "fail"}
	}
	return oscalStatus{"not-satisfied", "other"}
}

// epochOf finds the log of a place among those of the bundle. The provider's records,
// on which a customer's board rests, too, stand in the provider's own export.
func (w *writer) epochOf(place evidence.LogPlace) (i int, ok bool) {
	for i, e := range w.m.Epochs {
		if e.Origin == place.Origin && place.Index < e.Size {
			return i, true
		}
	}
	return 0, false
}

// observation describes a record by its entry in the log.
func (w *writer) observation(d Duty, place evidence.LogPlace) (o oscalObservation, res oscalResource, ok bool, err error) {
	i, ok := w.epochOf(place)
	if !ok {
		return o, res, false, nil
	}
	list, err := w.r.Entries(w.ctx, w.states[i].ID, place.Index, 1)
	if err != nil || len(list) != 1 || list[0].Index != place.Index {
		return o, res, false, fmt.Errorf("entry %d of log %s is missing (%w): run attesto-server check", place.Index, place.Origin, err)
	}
	entry, err := evidence.ParseEntry(list[0].Line)
	if err != nil {
		return o, res, false, fmt.Errorf("entry %d of log %s: %w", place.Index, place.Origin, err)
	}
	index := strconv.FormatInt(place.Index, 10)
	res = oscalResource{UUID: w.id("resource", place.Origin, index), Title: "Record " + index + " of " + place.Origin,
		RLinks: []oscalRLink{{Href: w.recordHref(i, place.Index), Hashes: sha256Of(entry.Env)}}}
	o = oscalObservation{UUID: w.id("observation", place.Origin, index), Description: observed[entry.Type],
		Props:   []oscalProp{prop("log-origin", place.Origin), prop("log-index", index)},
		Methods: []string{w.method(entry.Type, i, place.Index)}, Collected: moment(entry.Time.Time),
		Evidence: []oscalHref{{Href: "#" + res.UUID, Description: "The signed envelope"}}}
	if duty, _ := w.Catalogue.Duty(d.ID); duty.Every > 0 {
		o.Expires = moment(entry.Time.Add(duty.Every))
	}
	return o, res, true, nil
}

// method says how a record came to be, as OSCAL names it: a program looked (TEST), a
// person stated it (INTERVIEW), or the server wrote down what happened (EXAMINE).
func (w *writer) method(t evidence.EntryType, epoch int, index int64) string {
	switch t {
	case evidence.EntryEvidence:
		return "TEST"
	case evidence.EntryWorkflow:
		if w.stated(epoch, index) {
			return "INTERVIEW"
		}
	}
	return "EXAMINE"
}

// stated reports whether a record of the server is what a person stated.
func (w *writer) stated(epoch int, index int64) bool {
	list, err := w.r.Records(w.ctx, w.org.ID, w.states[epoch].ID, index, 1)
	if err != nil || len(list) != 1 || list[0].Index != index {
		return false
	}
	env, err := evidence.ParseEnvelope(list[0].Envelope)
	if err != nil {
		return false
	}
	event, err := evidence.OpenWorkflow(env, w.Signer.Public())
	return err == nil && strings.HasPrefix(event.Event, "statement.")
}

var observed = map[evidence.EntryType]string{
	evidence.EntryEvidence:   "Facts that an agent saw on its host and signed.",
	evidence.EntryWorkflow:   "A step, review or statement that the server recorded and signed.",
	evidence.EntryEnrollment: "A host's enrollment.",
	evidence.EntryRotation:   "A host's change of key.",
	evidence.EntryRevocation: "The end of a host's key.",
	evidence.EntryErasure:    "What was erased, and why.",
	evidence.EntryEpoch:      "Why the log began anew.",
}

// recordHref is where a record's envelope stands, relative to the oscal folder: in the
// bundle, where it is of the period; otherwise its name only.
func (w *writer) recordHref(epoch int, index int64) string {
	e := w.m.Epochs[epoch]
	if w.m.Layout == evidence.LayoutFolders && index >= e.First && index < e.Next {
		return fmt.Sprintf("../%srecords/%d/envelope.json", e.Folder(epoch, len(w.m.Epochs)), index)
	}
	return fmt.Sprintf("https://%s/%d", e.Origin, index)
}

func sha256Of(d evidence.Digest) []oscalHash { return []oscalHash{{"SHA-256", d.String()}} }
