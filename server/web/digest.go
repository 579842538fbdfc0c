package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

type digestBody struct {
	duties.Digest
	Rows   []digestRow
	Sum    string // of the digest, as the log will name it
	Seal   string
	Action string // where the confirmation is sent; "" where the reader may not
	OrgOf  store.Org
	Last   *confirmed // the newest confirmation of all that stands here
	Done   bool       // it was confirmed just now, or by the link that led here
}

// confirmed is who confirmed a digest, and when.
type confirmed struct {
	By           actor
	At           time.Time
	Epoch, Index int64 // of the log's entry; 0 where the reader does not see the log
}

type digestRow struct {
	ID, Name, Verdict, Why string
	Parts                  []assetBody
}

func (w *Web) digest(rw http.ResponseWriter, r *http.Request) error {
	org := orgOf(r.Context())
	body, err := w.digestOf(r, org)
	if err != nil {
		return err
	}
	if viewerOf(r.Context()).actsFor(org.ID, org.Kind) {
		body.Action = r.URL.Path
	}
	if body.Last, err = w.lastConfirmed(r.Context(), org.ID, body.Digest); err != nil {
		return err
	}
	body.Done = body.Last != nil && r.FormValue("confirmed") != ""
	return w.render(rw, r, http.StatusOK, "digest", "digest_title", body)
}

// digestOf is what an organisation has to look at in the service that the path, or a
// link, names.
func (w *Web) digestOf(r *http.Request, org store.Org) (digestBody, error) {
	return w.digestIn(r, org, r.PathValue("service"))
}

func (w *Web) digestIn(r *http.Request, org store.Org, service string) (digestBody, error) {
	d, seal, err := w.Digest(r.Context(), org.ID, service)
	if err != nil {
		return digestBody{}, refused(err)
	}
	body := digestBody{Digest: d, Seal: seal, OrgOf: org}
	if _, body.Sum, err = d.Encode(); err != nil {
		return body, err
	}
	lang := w.views.lang(r)
	for _, l := range d.Duties {
		row := digestRow{ID: l.Duty, Verdict: l.Verdict.String()}
		if duty, ok := w.Catalogue.Duty(l.Duty); ok {
			row.Name = duty.Title.In(lang)
			for _, p := range l.Parts {
				why, cure := w.Catalogue.Shown(lang, p.Why)
				row.Parts = append(row.Parts, assetBody{partName(duty, p.Part, lang), p.Verdict.String(), why, cure})
			}
		}
		row.Why, _ = w.Catalogue.Shown(lang, l.Why)
		body.Rows = append(body.Rows, row)
	}
	return body, nil
}

func partName(d duties.Duty, part, lang string) string {
	for _, p := range d.Parts {
		if p.Name == part {
			return p.Title.In(lang)
		}
	}
	return part
}

func (w *Web) confirmDigest(rw http.ResponseWriter, r *http.Request) error {
	if err := w.confirmFrom(r); err != nil {
		return err
	}
	http.Redirect(rw, r, r.URL.Path+"?confirmed=1", http.StatusSeeOther)
	return nil
}

// lastConfirmed is the newest confirmation of a whole digest; nil when there is none
// since its duties were confirmed one by one.
func (w *Web) lastConfirmed(ctx context.Context, org string, d duties.Digest) (*confirmed, error) {
	var last store.Review
	for i, l := range d.Duties {
		list, err := w.Store.Reviews(ctx, org, l.Duty, 1)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 || i > 0 && (list[0].Log != last.Log || list[0].Index != last.Index) {
			return nil, nil
		}
		last = list[0]
	}
	rec, err := w.Store.RecordAt(ctx, org, last.Log, last.Index)
	if err != nil || !viewerOf(ctx).shows(org, rec.Received) {
		return nil, err
	}
	out := confirmed{At: rec.Received, Index: last.Index}
	if out.Epoch, err = w.epochOf(ctx, org, last.Log); err != nil {
		return nil, err
	}
	out.By, err = w.actorOf(ctx, last.User)
	return &out, err
}

func (w *Web) apiConfirmDigest(rw http.ResponseWriter, r *http.Request) error {
	if err := w.confirmFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Web) confirmFrom(r *http.Request) error {
	seal, err := sealOf(r)
	if err != nil {
		return err
	}
	return refused(w.ConfirmDigest(r.Context(), orgOf(r.Context()).ID, r.PathValue("service"), seal, viewerOf(r.Context()).id()))
}

// sealing is what the API sends to confirm a digest.
type sealing struct {
	Seal string `json:"seal"`
}

// sealOf reads the seal of what was shown, from a form or JSON.
func sealOf(r *http.Request) (string, error) {
	if !isForm(r) {
		var in sealing
		err := decode(r, &in)
		return in.Seal, err
	}
	return r.PostForm.Get("seal"), nil
}

// reviewLink shows the holder of a mail's link what it is about; it changes nothing.
func (w *Web) reviewLink(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.linked(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "digest", "digest_title", body)
}

func (w *Web) linked(r *http.Request) (digestBody, error) {
	l, err := w.ReviewLink(r.Context(), r.PathValue("link"))
	if err != nil {
		return digestBody{}, refused(err)
	}
	org, err := w.Store.Org(r.Context(), l.Org)
	if errors.Is(err, store.ErrNotFound) {
		return digestBody{}, notFound()
	}
	if err != nil {
		return digestBody{}, err
	}
	if !l.Used.IsZero() { // a link that was used shows nothing of today
		body := digestBody{Digest: duties.Digest{Org: org.ID, Service: l.Service, At: l.Used}, OrgOf: org, Done: true, Last: &confirmed{At: l.Used}}
		body.Last.By, err = w.actorOf(r.Context(), l.Channel)
		return body, err
	}
	body, err := w.digestIn(r, org, l.Service)
	body.Action = r.URL.Path
	return body, err
}

// followLink confirms by a mail's link, once, and says so whenever it is followed.
func (w *Web) followLink(rw http.ResponseWriter, r *http.Request) error {
	seal, err := sealOf(r)
	if err != nil {
		return err
	}
	if err := refused(w.FollowReviewLink(r.Context(), r.PathValue("link"), seal)); err != nil {
		return err
	}
	http.Redirect(rw, r, r.URL.Path, http.StatusSeeOther)
	return nil
}

type digestAnswer struct {
	duties.Digest
	SHA256 string `json:"sha256"`
	Seal   string `json:"seal"` // what the confirmation sends back
}

func (w *Web) apiDigest(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.digestOf(r, orgOf(r.Context()))
	if err != nil {
		return err
	}
	writeJSON(rw, http.StatusOK, digestAnswer{body.Digest, body.Sum, body.Seal})
	return nil
}
