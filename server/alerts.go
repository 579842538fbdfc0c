package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// startJudging makes the evaluation loop and the outbox' loop. They run with Run.
func (s *Server) startJudging() error {
	catalogue, err := s.cfg.ReadCatalogue(s.now())
	if err != nil {
		return err
	}
	for _, over := range catalogue.Over() {
		s.log.Warn("an entry of the own catalogue has no effect any more", "entry", over)
	}
	s.catalogue = catalogue
	if s.cfg.Releases != "" {
		if err := s.renewReleases(); err != nil {
			return err
		}
		s.loops = append(s.loops, s.watchReleases)
	}
	notifiers := map[string]alert.Notifier{alert.Webhook: alert.NewHooks(s.cfg.Webhooks.AllowPrivate, s.log),
		alert.Chat: alert.NewChats(alert.Transport(s.cfg.Webhooks.AllowPrivate))}
	if s.cfg.SMTP.Host != "" {
		notifiers[alert.Email] = s.mailer()
	}
	s.alerts = &alert.Loop{Queue: outbox{s}, Notifiers: notifiers, Writer: alert.Writer{Catalogue: catalogue, Link: s.dutyLink, Agents: s.agentsLink, Case: s.caseLink, Review: s.reviewURL, Need: s.needLink},
		Head: s.head, Log: s.log.With("component", "alert"), Now: s.now}
	s.judge = newJudge(s.store, catalogue, s.log, s.now, s.alerts.Wake)
	s.judge.open = s.openFound
	s.judge.rules = catalogue.Digest().String() + " " + s.version
	s.OnAccepted(s.judge.Arrived)
	s.loops = append(s.loops, s.judge.Run, s.alerts.Run, s.mornings, s.inForce)
	return nil
}

// testTimeout bounds a channel's test, for which somebody waits.
const testTimeout = 20 * time.Second

// TestChannel sends a message through a channel at once, so that whoever added it sees
// that it works. It is no alert, and nothing is tried again.
func (s *Server) TestChannel(ctx context.Context, c alert.Channel) error {
	n, ok := s.alerts.Notifiers[c.Kind]
	if !ok {
		return errors.New("this server sends no mails: set smtp in its configuration")
	}
	org, err := s.store.Org(ctx, c.Org)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	return n.Notify(ctx, c, alert.TestMessage(evidence.NewID("d_"), org.ID, org.Name, org.Lang, s.now()))
}

// Catalogue is the list of duties in force.
func (s *Server) Catalogue() *duties.Catalogue { return s.catalogue }

// Judge is the evaluation loop.
func (s *Server) Judge() *Judge { return s.judge }

// Alerts is the outbox' loop.
func (s *Server) Alerts() *alert.Loop { return s.alerts }

func (s *Server) dutyLink(org, duty string) string {
	if s.cfg.PublicURL == "" {
		return ""
	}
	return s.cfg.PublicURL + "/orgs/" + org + "/duties/" + duty
}

func (s *Server) agentsLink(org string) string {
	if s.cfg.PublicURL == "" {
		return ""
	}
	return s.cfg.PublicURL + "/orgs/" + org + "/agents"
}

func (s *Server) needLink(org string) string {
	if s.cfg.PublicURL == "" {
		return ""
	}
	return s.cfg.PublicURL + "/orgs/" + org + "/need"
}

func (s *Server) caseLink(org, id string) string {
	if s.cfg.PublicURL == "" {
		return ""
	}
	return s.cfg.PublicURL + "/orgs/" + org + "/cases/" + id
}

// head is the newest size and root of an organisation's log.
func (s *Server) head(ctx context.Context, org string) (int64, string, error) {
	st, err := s.newest(ctx, org)
	return st.Size, base64.StdEncoding.EncodeToString(st.Root[:]), err
}

// outbox is the alerts' queue over the store; each attempt becomes an entry in the
// log of who is told.
type outbox struct{ s *Server }

func (o outbox) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) (list []alert.Delivery, err error) {
	err = o.s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		list, err = tx.ClaimDeliveries(ctx, now, lease, n)
		return err
	})
	return list, err
}

func (o outbox) Settle(ctx context.Context, a alert.Attempt) error {
	err := o.s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		open, err := tx.SettleDelivery(ctx, a)
		if err != nil {
			return err
		}
		if !open {
			o.s.log.WarnContext(ctx, "a delivery was made that somebody else had settled", "delivery", a.Delivery.ID)
		}
		log, index, err := o.state(ctx, tx, a)
		if err == nil {
			err = tx.AddTry(ctx, a, log, index)
		}
		if err != nil || log == "" {
			return err
		}
		if a.Err == nil && a.Delivery.Alert.Duty != "" { // a standing instruction rests on it
			err = tx.DueSoon(ctx, a.Delivery.Alert.Org, a.Delivery.Alert.Duty)
		}
		if err == nil && a.Err == nil && a.Delivery.Alert.Why.Key == alert.CaseOpened {
			err = o.s.noticeDelivered(ctx, tx, a.Delivery.Alert.Asset)
		}
		return o.unlogged(ctx, a, err)
	})
	if err == nil && a.Err == nil {
		err = o.s.caseMoved(ctx, a.Delivery.Alert.Org)
	}
	return err
}

// state puts an attempt into the log of who is told, and says where; the log is empty
// when it may not be continued.
func (o outbox) state(ctx context.Context, tx *store.Tx, a alert.Attempt) (log string, index int64, err error) {
	index, err = o.s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: a.Delivery.To.ID, Event: a.Event(), At: evidence.At(a.At), Duty: a.Delivery.Alert.Duty}, a.Detail())
	if err != nil {
		return "", 0, o.unlogged(ctx, a, err)
	}
	st, err := tx.Log(ctx, a.Delivery.To.ID)
	return st.ID, index, err
}

// unlogged passes over that a log may not be continued: told again and again would be
// worse than told and not logged.
func (o outbox) unlogged(ctx context.Context, a alert.Attempt, err error) error {
	var readOnly *evidence.Error
	if !errors.As(err, &readOnly) {
		return err
	}
	o.s.log.ErrorContext(ctx, "an alert's delivery cannot be logged", "delivery", a.Delivery.ID, "event", a.Event(), "err", readOnly)
	return nil
}

// eventReview is the log's word for a review.
const eventReview = "review.confirmed"

// reviewDetail says what was looked at when a review was confirmed.
type reviewDetail struct {
	Duty  string       `json:"duty"`
	Board string       `json:"board"` // the organisation whose board was looked at
	Parts []reviewPart `json:"parts"`
}

type reviewPart struct {
	Part    string         `json:"part"`
	Verdict duties.Verdict `json:"verdict"`
	Why     duties.Message `json:"why"`
	Cites   []duties.Cite  `json:"cites"`
}

// ConfirmReview records that a user looked at the results of a duty, with what
// there was to see, in the log of the organisation whose duty it is: the
// provider's for its own, on whatever board it was looked at. The duty is judged
// again at once. Whether the user may say so is the caller's to decide.
func (s *Server) ConfirmReview(ctx context.Context, board, duty, user string) error {
	d, owner, err := s.dutyOn(ctx, board, duty)
	if err != nil {
		return err
	}
	seen, err := s.store.VerdictsOf(ctx, owner, duty)
	if err != nil {
		return err
	}
	detail := reviewDetail{Duty: duty, Board: board, Parts: []reviewPart{}}
	for _, v := range seen {
		if v.Part != "" {
			detail.Parts = append(detail.Parts, reviewPart{v.Part, v.Verdict, v.Why, v.Cites})
		}
	}
	at := evidence.At(s.now())
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		index, err := s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: owner, Event: eventReview, At: at, By: user, Duty: duty}, detail)
		if err != nil {
			return err
		}
		st, err := tx.Log(ctx, owner)
		if err != nil {
			return err
		}
		return tx.AddReview(ctx, store.Review{Org: owner, Duty: duty, At: at.Time, User: user, Log: st.ID, Index: index})
	})
	if err != nil {
		return fmt.Errorf("confirming the review of %s: %w", duty, err)
	}
	return s.judge.Again(ctx, owner, d)
}

// Again judges one duty now.
func (j *Judge) Again(ctx context.Context, org string, d duties.Duty) error {
	j.turn.Lock()
	defer j.turn.Unlock()
	b := j.batch()
	defer b.finish()
	return b.duty(ctx, org, d)
}
