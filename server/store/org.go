package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// The kinds of organisation. There is exactly one provider.
const (
	Provider = "provider"
	Customer = "customer"
)

// Org is an organisation.
type Org struct {
	ID       string
	Kind     string // Provider or Customer
	Name     string
	Lang     string // "en" or "it"
	Zone     string // IANA name; a day is a calendar day there
	Services []string
	Created  time.Time
	Erased   time.Time // its contents were erased for good; zero while it is a customer
}

const orgColumns = `id, kind, name, lang, zone, services, created, erased`

func scanOrg(row func(...any) error) (Org, error) {
	var o Org
	var services string
	var created, erased int64
	err := row(&o.ID, &o.Kind, &o.Name, &o.Lang, &o.Zone, &services, &created, &erased)
	o.Services, o.Created, o.Erased = splitList(services), Time(created), Time(erased)
	return o, err
}

// AddOrg inserts an organisation. A second provider is refused by the schema.
func (t *Tx) AddOrg(ctx context.Context, o Org) error {
	_, err := t.exec(ctx, fmt.Sprintf("adding organisation %q", o.Name),
		`INSERT INTO org (`+orgColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		o.ID, o.Kind, o.Name, o.Lang, o.Zone, strings.Join(o.Services, ","), Micros(o.Created), Micros(o.Erased))
	return err
}

// SetOrg changes what can be changed of an organisation: name, language, zone and
// services.
func (t *Tx) SetOrg(ctx context.Context, o Org) error {
	_, err := t.exec(ctx, "changing organisation "+o.ID, `UPDATE org SET name = $2, lang = $3, zone = $4, services = $5 WHERE id = $1`,
		o.ID, o.Name, o.Lang, o.Zone, strings.Join(o.Services, ","))
	return err
}

// Org reads one organisation; ErrNotFound when there is none.
func (r Reader) Org(ctx context.Context, id string) (Org, error) {
	list, err := all(ctx, r, "reading organisation "+id, `SELECT `+orgColumns+` FROM org WHERE id = $1`, []any{id}, scanOrg)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("organisation %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Org{}, err
	}
	return list[0], nil
}

// Orgs lists all organisations, the provider first, then by name.
func (r Reader) Orgs(ctx context.Context) ([]Org, error) {
	return all(ctx, r, "listing organisations", `SELECT `+orgColumns+` FROM org ORDER BY kind DESC, name, id`, nil, scanOrg)
}

// ProviderOrg reads the provider's organisation; ErrNotFound before it is set up.
func (r Reader) ProviderOrg(ctx context.Context) (Org, error) {
	list, err := all(ctx, r, "reading the provider", `SELECT `+orgColumns+` FROM org WHERE kind = 'provider'`, nil, scanOrg)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("provider: %w", ErrNotFound)
	}
	if err != nil {
		return Org{}, err
	}
	return list[0], nil
}

// EraseOrg notes that an organisation's contents are gone, and removes what gives
// access to it or tells how to reach its people. Its alerts are over: nobody is told of
// them any more.
func (t *Tx) EraseOrg(ctx context.Context, id string, at time.Time) error {
	list, err := t.cases(ctx, `org_id = $1`, id)
	if err != nil {
		return err
	}
	for _, c := range list { // the provider was told of them, too
		if err := t.forgetSent(ctx, c); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		`DELETE FROM api_token WHERE org_id = $1`, `DELETE FROM enroll_token WHERE org_id = $1`, `DELETE FROM channel WHERE org_id = $1`,
		`DELETE FROM member WHERE org_id = $1`, `DELETE FROM link WHERE org_id = $1`, `UPDATE alert SET name = '', why = '', ended = '', next = 0 WHERE org_id = $1`, `UPDATE silence SET name = '' WHERE org_id = $1`, `UPDATE case_file SET title = '', subject = '' WHERE org_id = $1`,
		`UPDATE outbox SET error = '' WHERE org_id = $1`, `DELETE FROM delivery_attempt WHERE org_id = $1`,
	} {
		if _, err := t.exec(ctx, "erasing organisation "+id, statement, id); err != nil {
			return err
		}
	}
	if _, err := t.exec(ctx, "ending its alerts", `UPDATE alert SET state = 'resolved', resolved = $2 WHERE org_id = $1 AND state = 'firing'`, id, Micros(at)); err != nil {
		return err
	}
	_, err = t.exec(ctx, "erasing organisation "+id, `UPDATE org SET erased = $2 WHERE id = $1`, id, Micros(at))
	return err
}

// splitList reads a comma list; nil for the empty one.
func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
