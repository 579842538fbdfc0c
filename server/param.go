package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
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
	d, ok := s.catalogue.Duty(p.Duty)
	if !ok || !owes(o, d) {
		return fmt.Errorf("duty %s: %s does not owe it", p.Duty, o.Name)
	}
	i := slices.IndexFunc(d.Parts, func(part duties.Part) bool { return part.Name == p.Part })
	if i < 0 {
		return fmt.Errorf("duty %s has no part %q", d.ID, p.Part)
	}
	param, ok := d.Parts[i].Params[p.Name]
	if !ok {
		return fmt.Errorf("part %s of %s has no parameter %q: attesto-server catalogue list --json names them", p.Part, d.ID, p.Name)
	}
	if p.Value == nil {
		return nil
	}
	return param.Allows(*p.Value)
}
