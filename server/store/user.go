package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The roles that a member of an organisation can have.
const (
	RoleAdmin    = "admin"    // everything in the organisation; of the provider: in all
	RoleOperator = "operator" // the provider's daily work, in all organisations
	RoleViewer   = "viewer"   // reads
	RoleAuditor  = "auditor"  // reads and verifies, for a time and what was logged in one
)

// User is a person who signs in.
type User struct {
	ID       string
	Email    string // lower case
	Name     string
	Hash     string // of the password, PHC form
	Lang     string
	Created  time.Time
	Disabled time.Time // zero while the account is in use
	SignedIn time.Time // the last time; zero for never
}

// Member is a user's role in an organisation.
type Member struct {
	Org   string
	User  string
	Role  string
	Ends  time.Time // the role is over; zero for never
	From  time.Time // an auditor sees what was logged since, zero for all
	Until time.Time // and before, zero for all
}

// Holds reports whether the role is not over.
func (m Member) Holds(now time.Time) bool { return m.Ends.IsZero() || now.Before(m.Ends) }

// Shows reports whether what was logged at a moment lies in the member's window.
func (m Member) Shows(at time.Time) bool {
	return !at.Before(m.From) && (m.Until.IsZero() || at.Before(m.Until))
}

const userColumns = `id, email, name, hash, lang, created, disabled, signed_in`

func scanUser(row func(...any) error) (User, error) {
	var u User
	var created, disabled, signed int64
	err := row(&u.ID, &u.Email, &u.Name, &u.Hash, &u.Lang, &created, &disabled, &signed)
	u.Created, u.Disabled, u.SignedIn = Time(created), Time(disabled), Time(signed)
	return u, err
}

// AddUser inserts a user; an address that is taken is refused by the schema.
func (t *Tx) AddUser(ctx context.Context, u User) error {
	_, err := t.exec(ctx, "adding user "+u.Email, `INSERT INTO app_user (`+userColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		u.ID, strings.ToLower(u.Email), u.Name, u.Hash, u.Lang, Micros(u.Created), Micros(u.Disabled), Micros(u.SignedIn))
	return err
}

// SetPassword stores a new password's hash.
func (t *Tx) SetPassword(ctx context.Context, user, hash string) error {
	_, err := t.exec(ctx, "changing a password", `UPDATE app_user SET hash = $1 WHERE id = $2`, hash, user)
	return err
}

// SetLang stores the language of a user's mails.
func (t *Tx) SetLang(ctx context.Context, user, lang string) error {
	_, err := t.exec(ctx, "changing a language", `UPDATE app_user SET lang = $1 WHERE id = $2`, lang, user)
	return err
}

// DisableUser takes an account out of use; the zero time brings it back.
func (t *Tx) DisableUser(ctx context.Context, user string, at time.Time) error {
	_, err := t.exec(ctx, "disabling a user", `UPDATE app_user SET disabled = $1 WHERE id = $2`, Micros(at), user)
	return errors.Join(err, t.dueWhere(ctx, `org_id IN (SELECT org_id FROM member WHERE user_id = $1)`, user))
}

// SetMember gives a user a role in an organisation, in place of an older one.
func (t *Tx) SetMember(ctx context.Context, m Member) error {
	_, err := t.exec(ctx, "adding a member", `INSERT INTO member (`+memberColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role, ends = excluded.ends, see_from = excluded.see_from, see_until = excluded.see_until`,
		m.Org, m.User, m.Role, Micros(m.Ends), Micros(m.From), Micros(m.Until))
	return errors.Join(err, t.DueNow(ctx, m.Org))
}

// DropMember takes a user's role in an organisation away; it reports false when
// there was none.
func (t *Tx) DropMember(ctx context.Context, org, user string) (bool, error) {
	n, err := t.exec(ctx, "removing a member", `DELETE FROM member WHERE org_id = $1 AND user_id = $2`, org, user)
	return n == 1, errors.Join(err, t.DueNow(ctx, org))
}

func (r Reader) oneUser(ctx context.Context, where string, arg any) (User, error) {
	list, err := all(ctx, r, "reading a user", `SELECT `+userColumns+` FROM app_user WHERE `+where, []any{arg}, scanUser)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("user: %w", ErrNotFound)
	}
	if err != nil {
		return User{}, err
	}
	return list[0], nil
}

// User reads a user by id; ErrNotFound when there is none.
func (r Reader) User(ctx context.Context, id string) (User, error) {
	return r.oneUser(ctx, `id = $1`, id)
}

// UserByEmail reads a user by address, whatever its case.
func (r Reader) UserByEmail(ctx context.Context, email string) (User, error) {
	return r.oneUser(ctx, `email = $1`, strings.ToLower(email))
}

// AnyUser reports whether there is a user at all.
func (r Reader) AnyUser(ctx context.Context) (bool, error) {
	var n int64
	err := r.one(ctx, "counting users", `SELECT count(*) FROM (SELECT 1 FROM app_user LIMIT 1) one`, nil, &n)
	return n > 0, err
}

// UsersOf lists an organisation's members by address.
func (r Reader) UsersOf(ctx context.Context, org string) ([]User, error) {
	return all(ctx, r, "listing users", `SELECT `+userColumns+` FROM app_user WHERE id IN (SELECT user_id FROM member WHERE org_id = $1) ORDER BY email`,
		[]any{org}, scanUser)
}

// Users lists all users by address.
func (r Reader) Users(ctx context.Context) ([]User, error) {
	return all(ctx, r, "listing users", `SELECT `+userColumns+` FROM app_user ORDER BY email`, nil, scanUser)
}

const memberColumns = `org_id, user_id, role, ends, see_from, see_until`

func scanMember(row func(...any) error) (Member, error) {
	var m Member
	var ends, from, until int64
	err := row(&m.Org, &m.User, &m.Role, &ends, &from, &until)
	m.Ends, m.From, m.Until = Time(ends), Time(from), Time(until)
	return m, err
}

// Members lists all roles of all users.
func (r Reader) Members(ctx context.Context) ([]Member, error) {
	return all(ctx, r, "reading roles", `SELECT `+memberColumns+` FROM member ORDER BY user_id, org_id`, nil, scanMember)
}

// MembersOf lists the roles of a user.
func (r Reader) MembersOf(ctx context.Context, user string) ([]Member, error) {
	return all(ctx, r, "reading roles", `SELECT `+memberColumns+` FROM member WHERE user_id = $1 ORDER BY org_id`, []any{user}, scanMember)
}

// MembersIn lists the roles in an organisation.
func (r Reader) MembersIn(ctx context.Context, org string) ([]Member, error) {
	return all(ctx, r, "reading roles", `SELECT `+memberColumns+` FROM member WHERE org_id = $1 ORDER BY user_id`, []any{org}, scanMember)
}
