package server

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// eventDigest is the log's word for a review of all that a party has to look at in a
// service.
const eventDigest = "review.digest"

// digestHolds is for how long what was shown can be confirmed.
const digestHolds = 24 * time.Hour

// Digest is what an organisation has to look at in a service now, and the seal with
// which it can be confirmed as it was shown.
func (s *Server) Digest(ctx context.Context, org, service string) (d duties.Digest, seal string, err error) {
	o, err := s.store.Org(ctx, org)
	if err != nil {
		return d, "", err
	}
	d = duties.Digest{Org: org, Service: service, At: s.now().UTC(), Duties: []duties.Looked{}}
	for _, duty := range s.catalogue.Duties() {
		if duty.Service != service || !owes(o, duty) || !duty.Has(duties.ProofReview) {
			continue
		}
		list, err := s.store.VerdictsOf(ctx, org, duty.ID)
		if err != nil {
			return d, "", err
		}
		d.Duties = append(d.Duties, lookedAt(duty, list))
	}
	if len(d.Duties) == 0 {
		return d, "", fmt.Errorf("duties to review in service %s: %w", service, store.ErrNotFound)
	}
	seal, err = s.seal(d)
	return d, seal, err
}

// seal is what was shown, with the server's seal under it.
func (s *Server) seal(d duties.Digest) (string, error) {
	b, _, err := d.Encode()
	if err != nil {
		return "", err
	}
	mac, err := s.mac("digest", b)
	text := base64.RawURLEncoding
	return text.EncodeToString(b) + "." + text.EncodeToString(mac), err
}

// ReviewSeal seals how a duty on a board stands now, for ConfirmShown.
func (s *Server) ReviewSeal(ctx context.Context, board string, d duties.Duty) (string, error) {
	owner, err := s.ownerOf(ctx, board, d)
	if err != nil {
		return "", err
	}
	list, err := s.store.VerdictsOf(ctx, owner, d.ID)
	if err != nil {
		return "", err
	}
	return s.seal(duties.Digest{Org: owner, Service: d.Service, At: s.now().UTC(), Duties: []duties.Looked{lookedAt(d, list)}})
}

// ConfirmShown is ConfirmReview from when a page showed the duty, which its seal tells: what
// came since is not covered by it.
func (s *Server) ConfirmShown(ctx context.Context, board, duty, seal, user string) error {
	d, owner, err := s.dutyOn(ctx, board, duty)
	if err != nil {
		return err
	}
	shown, _, err := s.openDigest(owner, d.Service, seal)
	if err == nil && (len(shown.Duties) != 1 || shown.Duties[0].Duty != duty) {
		err = errSeal
	}
	if err != nil {
		return err
	}
	return s.ConfirmDigest(ctx, owner, d.Service, seal, user)
}

// lookedAt is how a duty stands, besides its review.
func lookedAt(d duties.Duty, list []store.Verdict) duties.Looked {
	out := duties.Looked{Duty: d.ID, Parts: []duties.LookedPart{}}
	for _, v := range list {
		switch {
		case v.Part == "":
			out.Verdict, out.Why = v.Verdict, v.Why
		case v.Part != duties.ProofReview:
			out.Parts = append(out.Parts, duties.LookedPart{Part: v.Part, Verdict: v.Verdict, Why: v.Why, Cites: v.Cites})
		}
	}
	return out
}

// mac seals what goes out and comes back, for one purpose.
func (s *Server) mac(purpose string, b []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, s.keys.Server.Private().Seed(), nil, "attesto "+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving the key for a %s: %w", purpose, err)
	}
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return h.Sum(nil), nil
}

var errSeal = duties.Refusal{Key: "digest_old", Err: errors.New("what was looked at is not what this server showed within a day: look again")}

// openDigest reads what was shown, as it was.
func (s *Server) openDigest(org, service, seal string) (d duties.Digest, sum string, err error) {
	text, sealed, _ := strings.Cut(seal, ".")
	b, err := base64.RawURLEncoding.DecodeString(text)
	got, bad := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || bad != nil {
		return d, "", errSeal
	}
	want, err := s.mac("digest", b)
	if err != nil {
		return d, "", err
	}
	if !hmac.Equal(got, want) || json.Unmarshal(b, &d) != nil || d.Org != org || d.Service != service || s.now().Sub(d.At) > digestHolds {
		return d, "", errSeal
	}
	if len(d.Duties) == 0 {
		return d, "", errSeal
	}
	_, sum, err = d.Encode()
	return d, sum, err
}

// digestDetail is what the log keeps, erasable, of a review by digest.
type digestDetail struct {
	SHA256 string        `json:"sha256"` // of the digest
	Digest duties.Digest `json:"digest"`
	Link   string        `json:"link,omitempty"` // the mail link that was used
}

// ConfirmDigest records that a user looked at a service's digest as it was shown. It
// counts, from the moment when it was shown, as the review of each of its duties. What
// was shown once is confirmed once: a second click changes nothing.
func (s *Server) ConfirmDigest(ctx context.Context, org, service, seal, user string) error {
	return s.confirmDigest(ctx, org, service, seal, user, store.ReviewLink{})
}

func (s *Server) confirmDigest(ctx context.Context, org, service, seal, user string, link store.ReviewLink) error {
	d, sum, err := s.openDigest(org, service, seal)
	if err != nil {
		return err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if before, err := tx.Reviewed(ctx, org, d.Duties[0].Duty, d.At); err != nil || before {
			return err
		}
		if link.ID != "" {
			if used, err := tx.UseReviewLink(ctx, link.ID, s.now()); err != nil || !used {
				return err // another click was faster
			}
		}
		entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: org, Event: eventDigest, At: evidence.At(s.now()), By: user}, digestDetail{sum, d, link.ID})
		if err != nil {
			return err
		}
		for _, l := range d.Duties {
			if err := tx.AddReview(ctx, store.Review{Org: org, Duty: l.Duty, At: d.At, User: user, Log: entry.log, Index: entry.index}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("confirming the digest of %s: %w", service, err)
	}
	var errs []error
	for _, l := range d.Duties {
		if duty, ok := s.catalogue.Duty(l.Duty); ok {
			errs = append(errs, s.judge.Again(ctx, org, duty))
		}
	}
	return errors.Join(errs...)
}

var errLink = duties.Refusal{Key: "review_link", Err: errors.New("this link is none of this server, or its time is over")}

// linkHolds is how long a mail's link can be used.
const linkHolds = 48 * time.Hour

// linkText is a link's id with its seal.
func (s *Server) linkText(id string) (string, error) {
	mac, err := s.mac("review link", []byte(id))
	return id + "." + base64.RawURLEncoding.EncodeToString(mac), err
}

// reviewURL is where a link leads; empty when the public address is not configured.
func (s *Server) reviewURL(id string) (string, error) {
	text, err := s.linkText(id)
	if s.cfg.PublicURL == "" {
		return "", err
	}
	return s.cfg.PublicURL + "/review/" + text, err
}

// ReviewLink finds the link that a mail carried, if it is of this server and in time. One
// that was used says when.
func (s *Server) ReviewLink(ctx context.Context, text string) (store.ReviewLink, error) {
	id, _, _ := strings.Cut(text, ".")
	want, err := s.linkText(id)
	if err != nil {
		return store.ReviewLink{}, err
	}
	if !hmac.Equal([]byte(want), []byte(text)) {
		return store.ReviewLink{}, errLink
	}
	l, err := s.store.ReviewLinkByID(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return l, errLink
	case err == nil && !s.now().Before(l.Expires):
		return l, errLink
	}
	return l, err
}

// FollowReviewLink confirms the digest that was shown to the holder of a mail's link,
// once; by a link that was used nothing changes. The log names the mail channel as who
// did it.
func (s *Server) FollowReviewLink(ctx context.Context, text, seal string) error {
	l, err := s.ReviewLink(ctx, text)
	if err != nil || !l.Used.IsZero() {
		return err
	}
	return s.confirmDigest(ctx, l.Org, l.Service, seal, l.Channel, l)
}

// digestHour is when the digest of a day is mailed, in the organisation's zone.
const digestHour = 7

// MailDigests mails, once a day and service, what an organisation has to look at to its
// mail channels: where the digests are switched on and a host proves something.
func (s *Server) MailDigests(ctx context.Context) error {
	if !s.cfg.Digests || s.cfg.SMTP.Host == "" || s.cfg.PublicURL == "" {
		return nil
	}
	orgs, err := s.store.Orgs(ctx)
	errs := []error{err}
	for _, o := range orgs {
		if o.Erased.IsZero() && s.now().In(o.Location()).Hour() >= digestHour {
			errs = append(errs, s.mailDigests(ctx, o))
		}
	}
	s.alerts.Wake()
	return errors.Join(errs...)
}

func (s *Server) mailDigests(ctx context.Context, o store.Org) error {
	channels, err := s.store.Channels(ctx, o.ID)
	if err != nil {
		return err
	}
	channels = slices.DeleteFunc(channels, func(c alert.Channel) bool { return c.Kind != alert.Email })
	agents, err := s.store.Agents(ctx, o.ID)
	if err != nil || len(channels) == 0 {
		return err
	}
	for _, service := range s.catalogue.Services() {
		if !slices.ContainsFunc(agents, func(a store.Agent) bool { return a.State == store.AgentActive && a.Serves(service, "") }) {
			continue
		}
		d, _, err := s.Digest(ctx, o.ID, service)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		for _, c := range channels {
			if err := s.mailDigest(ctx, o, d, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) mailDigest(ctx context.Context, o store.Org, d duties.Digest, c alert.Channel) error {
	b, _, err := d.Encode()
	if err != nil {
		return err
	}
	now := s.now()
	l := store.ReviewLink{ID: evidence.NewID("rl_"), Org: o.ID, Service: d.Service, Channel: c.ID, Day: now.In(o.Location()).Format(time.DateOnly), Expires: now.Add(linkHolds)}
	return s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		first, err := tx.AddReviewLink(ctx, l)
		if err != nil || !first {
			return err // this day's was mailed
		}
		return tx.NotifyOn(ctx, alert.Alert{ID: evidence.NewID("al_"), Org: o.ID, Asset: l.ID, Name: d.Service, Opened: now,
			Why: duties.Message{Key: alert.ReviewDue, Args: map[string]string{"digest": string(b), "link": l.ID}}}, []alert.Channel{c})
	})
}
