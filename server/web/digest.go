package web

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"

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
	Done   bool // it was confirmed
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
	http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/board", http.StatusSeeOther)
	return nil
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
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		var in sealing
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return "", &problem{status: http.StatusBadRequest, key: "bad_form", cause: err}
		}
		return in.Seal, nil
	}
	if err := r.ParseForm(); err != nil {
		return "", &problem{status: http.StatusBadRequest, key: "bad_form", cause: err}
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
	body, err := w.digestIn(r, org, l.Service)
	body.Action = r.URL.Path
	return body, err
}

// followLink confirms by a mail's link, once.
func (w *Web) followLink(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.linked(r)
	if err != nil {
		return err
	}
	seal, err := sealOf(r)
	if err != nil {
		return err
	}
	if err := refused(w.FollowReviewLink(r.Context(), r.PathValue("link"), seal)); err != nil {
		return err
	}
	body.Done, body.Action = true, ""
	return w.render(rw, r, http.StatusOK, "digest", "digest_title", body)
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
