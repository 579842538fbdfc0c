package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

type recordBody struct {
	Epoch              int64 // of the log
	Index              int64
	Type               evidence.EntryType
	Agent, AgentName   string
	Seq                int64
	Observed, Received time.Time // observed: the end of the newest window, by the host's clock
	KeyID              string
	Envelope, Stmt     evidence.Digest
	Statement          string // indented, for reading
	Entry              string
	Proofs             []ledger.Proof
	Sound              bool
	Items              []itemBody
	Hidden             bool // the facts are the provider's own
	Log                logFoot
	LogKey             string
	Clock              *evidence.Clock // as the host stated it; nil for what is no evidence
	Protection         string          // of the key that signed it, as the agent stated
	Witnesses          []witnessBody   // newest word of each, of those named
	MoreWitnesses      int
	Steps              []string // of the check in the browser
	Assurance          string   // EVIDENCE 3: "a1" for a software key, "a2" for one in a TPM, "server" for what the server itself states
}

type itemBody struct {
	Kind            evidence.Kind
	Outcome, Reason string
	From, To        time.Time
	Gaps            []evidence.Gap
	Facts           any    // one of evidence's kinds; nil for none
	View            any    // the facts as the kind's table takes them
	Raw, Detail     string // indented JSON
	Absent          string // "missing" or "erased", when the facts cannot be shown
}

// maxRaw bounds JSON that a page shows; the rest is in the download.
const maxRaw = 64 << 10

func (w *Web) record(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.recordOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "record", "record_title", body)
}

// stored reads the record that the path names, if the viewer may see it.
func (w *Web) stored(r *http.Request) (store.StoredRecord, error) {
	index, err := strconv.ParseInt(r.PathValue("index"), 10, 64)
	if err != nil || index < 0 {
		return store.StoredRecord{}, notFound()
	}
	epoch := int64(1) // what a link names stays the same when a log begins anew
	if text := r.URL.Query().Get("epoch"); text != "" {
		if epoch, err = strconv.ParseInt(text, 10, 64); err != nil {
			return store.StoredRecord{}, notFound()
		}
	}
	rec, err := w.Store.Record(r.Context(), orgOf(r.Context()).ID, epoch, index)
	if errors.Is(err, store.ErrNotFound) {
		return rec, notFound()
	}
	if err == nil && !viewerOf(r.Context()).sees(rec.Org) {
		err = w.served(r, rec)
	}
	if err == nil && !viewerOf(r.Context()).reaches(rec.Org, rec.Received) {
		err = notFound()
	}
	return rec, err
}

// served refuses a record of the provider to those whom it does not concern: a
// customer sees the evidence of the agents that look after the services that it
// has, and nothing else.
func (w *Web) served(r *http.Request, rec store.StoredRecord) error {
	if rec.Type != evidence.EntryEvidence {
		return notFound()
	}
	agent, err := w.Store.Agent(r.Context(), rec.Agent)
	if errors.Is(err, store.ErrNotFound) {
		return notFound()
	}
	if err != nil {
		return err
	}
	for _, id := range viewerOf(r.Context()).orgs() {
		org, err := w.Store.Org(r.Context(), id)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(org.Services, func(s string) bool { return agent.Serves(s, org.ID) }) {
			return nil
		}
	}
	return notFound()
}

func (w *Web) recordOf(r *http.Request) (recordBody, error) {
	org := orgOf(r.Context())
	rec, err := w.stored(r)
	if err != nil {
		return recordBody{}, err
	}
	body := recordBody{Epoch: rec.In.Epoch, Index: rec.Index, Log: footOf(rec.In), Type: rec.Type, Agent: rec.Agent, Seq: rec.Seq, Received: rec.Received,
		Stmt: rec.Stmt, Envelope: evidence.Sum(rec.Envelope), Entry: strings.TrimSpace(string(rec.Line)),
		Hidden: !viewerOf(r.Context()).sees(org.ID), Assurance: "a1", Steps: checkSteps}
	if rec.Agent == "" {
		body.Seq, body.Assurance = 0, "server"
	}
	if body.Proofs, err = w.Verify(r.Context(), org.ID, rec.In.Epoch, rec.Index); err != nil {
		return body, err
	}
	body.Sound = len(body.Proofs) > 0
	for _, p := range body.Proofs {
		body.Sound = body.Sound && p.OK
	}
	if env, err := evidence.ParseEnvelope(rec.Envelope); err == nil {
		body.KeyID, body.Statement = string(env.KeyID()), indent(env.Payload())
		if stated, err := evidence.ParseRecord(env.Payload()); err == nil {
			body.Clock = &stated.Clock
		}
	}
	if !body.Hidden && rec.Agent != "" {
		if a, err := w.Store.Agent(r.Context(), rec.Agent); err == nil {
			body.AgentName = a.Name
			if body.Protection, err = w.Store.ProtectionAt(r.Context(), a, rec.Seq); err != nil {
				return body, err
			}
			body.Assurance = strings.ToLower(string(evidence.AssuranceOf(body.Protection)))
		} else if !errors.Is(err, store.ErrNotFound) {
			return body, err
		}
	}
	for _, it := range rec.Items {
		if it.To.After(body.Observed) {
			body.Observed = it.To
		}
		body.Items = append(body.Items, itemOf(it, rec.Blobs, body.Hidden))
	}
	if body.Witnesses, body.MoreWitnesses, err = w.witnesses(r, rec, body.Hidden); err != nil {
		return body, err
	}
	body.LogKey, err = w.LogKey(body.Log.Origin)
	return body, err
}

func itemOf(it store.Item, blobs map[evidence.Digest]store.Blob, hidden bool) itemBody {
	b := itemBody{Kind: it.Kind, Outcome: it.Outcome.String(), Reason: it.Reason, From: it.From, To: it.To}
	if hidden {
		return b
	}
	facts, ok := blobs[it.Facts]
	switch {
	case it.Facts.IsZero(): // what the server states has detail only
	case !ok:
		b.Absent = "missing"
	case facts.Data == nil:
		b.Absent = "erased"
	default:
		raw, gaps, err := evidence.ParseFactsBlob(facts.Data)
		b.Gaps, b.Raw = gaps, indent(facts.Data)
		if err == nil && raw != nil {
			b.Facts = factsOf(it.Kind, facts.Data)
			b.View = viewOf(b.Facts)
		}
	}
	if detail, ok := blobs[it.Detail]; ok && detail.Data != nil {
		b.Detail = indent(detail.Data)
	}
	return b
}

// factsOf reads facts for the kind's own table; nil when they do not hold.
func factsOf(kind evidence.Kind, blob []byte) any {
	var f any
	var err error
	switch kind {
	case evidence.KindDNSBL:
		f, _, err = evidence.DecodeFacts[evidence.DNSBL](blob)
	case evidence.KindBackup:
		f, _, err = evidence.DecodeFacts[evidence.Backup](blob)
	case evidence.KindRestore:
		f, _, err = evidence.DecodeFacts[evidence.Restore](blob)
	case evidence.KindHypervisor:
		f, _, err = evidence.DecodeFacts[evidence.Hypervisor](blob)
	case evidence.KindEventLog:
		f, _, err = evidence.DecodeFacts[evidence.EventLog](blob)
	case evidence.KindSoftware:
		f, _, err = evidence.DecodeFacts[evidence.Software](blob)
	case evidence.KindHealth:
		f, _, err = evidence.DecodeFacts[evidence.Health](blob)
	case evidence.KindEndpoints:
		f, _, err = evidence.DecodeFacts[evidence.Endpoints](blob)
	case evidence.KindStorage:
		f, _, err = evidence.DecodeFacts[evidence.Storage](blob)
	case evidence.KindAccounts:
		f, _, err = evidence.DecodeFacts[evidence.Accounts](blob)
	case evidence.KindAntivirus:
		f, _, err = evidence.DecodeFacts[evidence.Antivirus](blob)
	case evidence.KindMail:
		f, _, err = evidence.DecodeFacts[evidence.Mail](blob)
	}
	if err != nil {
		return nil
	}
	return f
}

func indent(b []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return string(b)
	}
	if out.Len() > maxRaw {
		out.Truncate(maxRaw)
		out.WriteString("\n…")
	}
	return out.String()
}

// envelope hands out the exact bytes that were signed; they hold digests only.
func (w *Web) envelope(rw http.ResponseWriter, r *http.Request) error {
	rec, err := w.stored(r)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="envelope-%d.json"`, rec.Index))
	_, _ = rw.Write(rec.Envelope) // a reader that is gone changes nothing
	return nil
}
