package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// The kinds of links.
const (
	LinkInvite = "invite" // makes an account, or gives one a role
	LinkReset  = "reset"  // sets a new password
	LinkSetup  = "setup"  // makes the first account
)

// Link is what was handed to a person to be used once.
type Link struct {
	ID      string
	Hash    evidence.Digest // of its text
	Kind    string
	Email   string
	Member  Member // of an invitation, without the user
	Lang    string
	By      string // id of who invited
	Created time.Time
	Expires time.Time
}

const linkColumns = `id, hash, kind, email, org_id, role, ends, see_from, see_until, lang, by_user, created, expires`

func scanLink(row func(...any) error) (Link, error) {
	var l Link
	var hash []byte
	var ends, from, until, created, expires int64
	err := row(&l.ID, &hash, &l.Kind, &l.Email, &l.Member.Org, &l.Member.Role, &ends, &from, &until, &l.Lang, &l.By, &created, &expires)
	l.Hash, l.Member.Ends, l.Member.From, l.Member.Until = digest(hash), Time(ends), Time(from), Time(until)
	l.Created, l.Expires = Time(created), Time(expires)
	return l, err
}

// AddLink inserts a link in place of those of the same kind, address and organisation,
// and removes what has expired.
func (t *Tx) AddLink(ctx context.Context, l Link) error {
	l.Email = strings.ToLower(l.Email)
	if _, err := t.exec(ctx, "replacing a link", `DELETE FROM link WHERE (kind = $1 AND email = $2 AND org_id = $3) OR expires < $4`,
		l.Kind, l.Email, l.Member.Org, Micros(l.Created)); err != nil {
		return err
	}
	_, err := t.exec(ctx, "adding a link", `INSERT INTO link (`+linkColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		l.ID, l.Hash[:], l.Kind, l.Email, l.Member.Org, l.Member.Role, Micros(l.Member.Ends), Micros(l.Member.From), Micros(l.Member.Until),
		l.Lang, l.By, Micros(l.Created), Micros(l.Expires))
	return err
}

// Link finds a live link of a kind by the digest of its text; ErrNotFound when there
// is none.
func (r Reader) Link(ctx context.Context, kind string, hash evidence.Digest, now time.Time) (Link, error) {
	return r.oneLink(ctx, `kind = $1 AND hash = $2 AND expires > $3`, kind, hash[:], Micros(now))
}

// Invitations lists an organisation's open invitations.
func (r Reader) Invitations(ctx context.Context, org string, now time.Time) ([]Link, error) {
	return all(ctx, r, "listing invitations", `SELECT `+linkColumns+` FROM link WHERE org_id = $1 AND kind = 'invite' AND expires > $2 ORDER BY created, id`,
		[]any{org, Micros(now)}, scanLink)
}

// InvitationsOf lists the open invitations of an address.
func (r Reader) InvitationsOf(ctx context.Context, email string, now time.Time) ([]Link, error) {
	return all(ctx, r, "listing invitations", `SELECT `+linkColumns+` FROM link WHERE email = $1 AND kind = 'invite' AND expires > $2 ORDER BY created, id`,
		[]any{strings.ToLower(email), Micros(now)}, scanLink)
}

func (r Reader) oneLink(ctx context.Context, where string, args ...any) (Link, error) {
	list, err := all(ctx, r, "reading a link", `SELECT `+linkColumns+` FROM link WHERE `+where, args, scanLink)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("link: %w", ErrNotFound)
	}
	if err != nil {
		return Link{}, err
	}
	return list[0], nil
}

// UseLink takes a link out of use; it reports false when somebody else was faster.
func (t *Tx) UseLink(ctx context.Context, id string) (bool, error) {
	n, err := t.exec(ctx, "using a link", `DELETE FROM link WHERE id = $1`, id)
	return n == 1, err
}

// DropInvitation withdraws an invitation; it reports false when there is none.
func (t *Tx) DropInvitation(ctx context.Context, org, id string) (bool, error) {
	n, err := t.exec(ctx, "withdrawing an invitation", `DELETE FROM link WHERE id = $1 AND org_id = $2 AND kind = 'invite'`, id, org)
	return n == 1, err
}

// DropLinks takes all links of a kind for an address out of use.
func (t *Tx) DropLinks(ctx context.Context, kind, email string) error {
	_, err := t.exec(ctx, "removing links", `DELETE FROM link WHERE kind = $1 AND email = $2`, kind, strings.ToLower(email))
	return err
}
