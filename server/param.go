package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

// eventParam is the log's word for a parameter that was set.
const eventParam = "parameter.set"

// SetParam sets a figure that an organisation's duty is judged by, or, without a duty,
// one of the organisation as a whole. It is kept with who set it and when, stated in
// the organisation's log, and, where it changes verdicts, has the duties judged again.
func (s *Server) SetParam(ctx context.Context, p store.Param) error {
	o, err := s.store.Org(ctx, p.Org)
	if err != nil {
		return err
	}
	if err := s.checkParam(o, p); err != nil {
		return err
	}
	p.At = s.now()
	value := "default"
	if p.Value != nil {
		value = strconv.FormatFloat(*p.Value, 'g', -1, 64)
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddParam(ctx, p); err != nil {
			return err
		}
		if p.Name != store.ParamSecond {
			if err := tx.DueNow(ctx, o.ID); err != nil {
				return err
			}
		}
		_, err := s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: o.ID, Event: eventParam, At: evidence.At(p.At), By: p.User, Duty: p.Duty},
			map[string]string{"part": p.Part, "name": p.Name, "value": value})
		return err
	})
	if err != nil {
		return fmt.Errorf("setting %s of %s: %w", p.Name, o.ID, err)
	}
	return nil
}

func (s *Server) checkParam(o store.Org, p store.Param) error {
	if p.Duty == "" {
		if p.Part != "" || p.Name != store.ParamLate && p.Name != store.ParamSecond || p.Value != nil && *p.Value != 0 && *p.Value != 1 {
			return fmt.Errorf("parameter %q of an organisation as a whole: want %s or %s, 0 or 1; name the duty and its part for others", p.Name, store.ParamLate, store.ParamSecond)
		}
		return nil
	}
	d, err := s.catalogue.Find(p.Duty)
	if err != nil {
		return err
	}
	if !owes(o, d) {
		return fmt.Errorf("duty %s: %s does not owe it: it is the %s's, of who has the service %s", d.ID, o.Name, d.Party, d.Service)
	}
	part, err := d.Part(p.Part)
	if err != nil {
		return fmt.Errorf("duty %s: %w", d.ID, err)
	}
	param, err := part.Param(p.Name)
	if err == nil && p.Value != nil {
		if err = param.Allows(*p.Value); err != nil {
			err = fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	if err != nil {
		return fmt.Errorf("duty %s: part %s: %w", d.ID, p.Part, err)
	}
	return nil
}

// Outside is a figure that an organisation once set and that its duty does not leave open
// today. The catalogue's counts in its place.
type Outside struct {
	Org, Duty, Part, Name string
	Set, Counts           float64
	Why                   string
}

// Outside lists the figures of an organisation, or of all, that count for nothing.
func (s *Server) Outside(ctx context.Context, org string) ([]Outside, error) {
	orgs, err := s.store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	var list []Outside
	for _, o := range orgs {
		if org != "" && o.ID != org || !o.Erased.IsZero() {
			continue
		}
		set, err := s.store.Params(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		for _, d := range s.catalogue.Duties() {
			for _, p := range d.Parts {
				for _, name := range slices.Sorted(maps.Keys(set[d.ID][p.Name])) {
					param, value := p.Params[name], set[d.ID][p.Name][name]
					if err := param.Allows(value); err != nil {
						list = append(list, Outside{o.ID, d.ID, p.Name, name, value, param.Default, err.Error()})
					}
				}
			}
		}
	}
	return list, nil
}

// warnOutside says in the server's log which figures count for nothing.
func (s *Server) warnOutside(ctx context.Context) {
	list, err := s.Outside(ctx, "")
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "nobody looked which figures are outside their range", "err", err)
	}
	for _, x := range list {
		s.log.WarnContext(ctx, "a figure counts for nothing: set another with attesto-server param set", "org", x.Org, "duty", x.Duty, "part", x.Part, "name", x.Name,
			"set", x.Set, "counts", x.Counts, "why", x.Why)
	}
}
