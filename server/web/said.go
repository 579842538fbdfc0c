package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// Said is what a person put down: as a statement, a new case, or a step of one.
type Said struct {
	Org  string // whose page it was said on
	User string
	Text string

	FileName string
	File     []byte
}

// Stating is a statement about a duty.
type Stating struct {
	Said
	Duty  string
	Party string // who signs
	Kind  string // duties.StatementAttestation or duties.StatementWaiver
	Good  bool
	Until time.Time
}

// Opening opens a workflow.
type Opening struct {
	Said
	Workflow, Service, Title string
}

// Stepping records the next step of a case, or withdraws the case.
type Stepping struct {
	Said
	Case, Step     string
	Skip, Withdraw bool
}

// Passing opens a case of the provider's with the customer whom it concerns.
type Passing struct {
	Org, User, Case string
	To              string // the customer
	Mail            bool   // with the mail that came
}

// saying is what forms and the API send to state something.
type saying struct {
	Text     string `json:"text" about:"up to 4000 characters; needed for statements and restore tests, to leave a step out and to withdraw a case"`
	Kind     string `json:"kind" enum:"attestation,waiver,standing" about:"of a statement: the duty is met, does not apply, or its rule is the way of reviewing"`
	Result   string `json:"result" enum:"good,bad" about:"of an attestation and a restore test"`
	Until    string `json:"until" about:"of a statement: its last day, such as 2027-01-31"`
	Title    string `json:"title" about:"of a case: what it is about; of a restore test: what was restored; up to 120 characters"`
	Service  string `json:"service" about:"of a case and a restore test: a service of the organisation"`
	Skip     bool   `json:"skip" about:"leave the step out"`
	Customer string `json:"customer" about:"of the step pass: the organisation whom the report concerns"`
	Mail     bool   `json:"mail" about:"of the step pass: with the mail as it came"`
	FileName string `json:"fileName"`
	File     []byte `json:"file" about:"up to 700 KiB"`

	Point     string `json:"point" about:"of a restore test: the moment of the state that was restored"`
	Minutes   int    `json:"minutes" about:"of a restore test: how long it took"`
	Decrypted bool   `json:"decrypted" about:"of a restore test: with the encryption password, as its keeper has it"`
}

// maxUpload bounds a request that may bring a file, in bytes.
const maxUpload = 1 << 20

// said reads a form, with a file or without, or JSON.
func said(r *http.Request) (saying, Said, error) {
	var f saying
	if !isForm(r) {
		if err := decode(r, &f); err != nil {
			return f, Said{}, err
		}
	} else {
		bad := &problem{status: http.StatusBadRequest, key: "bad_form"}
		f = saying{Text: r.PostFormValue("text"), Kind: r.PostFormValue("kind"), Result: r.PostFormValue("result"), Until: r.PostFormValue("until"),
			Title: r.PostFormValue("title"), Service: r.PostFormValue("service"), Skip: r.PostFormValue("skip") != "", Customer: r.PostFormValue("customer"), Mail: r.PostFormValue("mail") != "",
			Point: r.PostFormValue("point"), Decrypted: r.PostFormValue("decrypted") != ""}
		if text := r.PostFormValue("minutes"); text != "" {
			n, err := strconv.Atoi(text)
			if bad.cause = err; err != nil {
				return f, Said{}, bad
			}
			f.Minutes = n
		}
		if file, head, err := r.FormFile("file"); err == nil {
			defer func() { _ = file.Close() }() // only read from
			if f.File, err = io.ReadAll(file); err != nil {
				bad.cause = err
				return f, Said{}, bad
			}
			f.FileName = head.Filename
		}
	}
	f.Title, f.FileName = oneLine(f.Title), fileName(f.FileName)
	if f.FileName != "" && len(f.File) == 0 {
		return f, Said{}, &problem{status: http.StatusBadRequest, key: "file_empty"}
	}
	return f, Said{Org: orgOf(r.Context()).ID, User: viewerOf(r.Context()).id(), Text: strings.TrimSpace(f.Text), FileName: f.FileName, File: f.File}, nil
}

// refused turns what a person may not state into an answer with its words.
func refused(err error) error {
	var r duties.Refusal
	switch {
	case errors.As(err, &r):
		return &problem{status: http.StatusConflict, key: r.Key, cause: err, detail: r.Err.Error()}
	case errors.Is(err, store.ErrNotFound):
		return notFound()
	}
	return err
}

// kinds are those of statements that a form or the API makes about a duty.
var kinds = []string{duties.StatementAttestation, duties.StatementWaiver, duties.StatementStanding}

// state records a statement about a duty.
func (w *Web) state(rw http.ResponseWriter, r *http.Request) error {
	if err := w.stateFrom(r); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/duties/"+r.PathValue("duty"), http.StatusSeeOther)
	return nil
}

func (w *Web) apiState(rw http.ResponseWriter, r *http.Request) error {
	if err := w.stateFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Web) stateFrom(r *http.Request) error {
	org := orgOf(r.Context())
	d, ok := w.Catalogue.Duty(r.PathValue("duty"))
	if !ok || !shows(org, d) {
		return notFound()
	}
	f, s, err := said(r)
	if err != nil {
		return err
	}
	until, err := duties.ParseDay(f.Until, org.Location())
	if err != nil || !slices.Contains(kinds, f.Kind) || f.Kind == duties.StatementAttestation && f.Result != "good" && f.Result != "bad" {
		return &problem{status: http.StatusBadRequest, key: "bad_form", cause: err,
			detail: "want a kind of " + strings.Join(kinds, ", ") + ", a day until, and a result good or bad of an attestation"}
	}
	v := viewerOf(r.Context())
	if f.Kind != duties.StatementWaiver && !v.actsFor(org.ID, d.Party) {
		return forbidden()
	}
	party := duties.Customer
	if v.runs() {
		party = duties.Provider
	}
	return refused(w.State(r.Context(), Stating{Said: s, Duty: d.ID, Party: party, Kind: f.Kind, Good: f.Result == "good", Until: duties.Midnight(until, org.Location(), 1)}))
}

// words of a statement or step, as its blob holds them.
type spoken struct {
	Text string `json:"text"`
	File *struct {
		Name string `json:"name"`
		Data []byte `json:"data"`
	} `json:"file"`
	Hosts       []string `json:"hosts"`       // that say of themselves to be where a report speaks of
	HostsMore   bool     `json:"hostsMore"`   // than these
	HostsUnread bool     `json:"hostsUnread"` // not all hosts could be asked
}

// spokenAt reads the words beside a log entry; false when they were erased.
func (w *Web) spokenAt(ctx context.Context, at store.Place) (s spoken, ok bool, err error) {
	blob, err := w.Store.Blob(ctx, at)
	if errors.Is(err, store.ErrNotFound) || err == nil && blob.Data == nil {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	raw, err := evidence.ParseDetailBlob(blob.Data)
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	return s, err == nil, err
}
