package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// The roles that a member of an organisation can have.
const (
	RoleAdmin    = "admin"    // everything in the organisation; of the provider: in all
	RoleOperator = "operator" // the provider's daily work, in all organisations
	RoleViewer   = "viewer"   // reads
	RoleAuditor  = "auditor"  // reads and verifies
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
}

// Member is a user's role in an organisation.
type Member struct {
	Org  string
	User string
	Role string
}

const userColumns = `id, email, name, hash, lang, created, disabled`

func scanUser(row func(...any) error) (User, error) {
	var u User
	var created, disabled int64
	err := row(&u.ID, &u.Email, &u.Name, &u.Hash, &u.Lang, &created, &disabled)
	u.Created, u.Disabled = Time(created), Time(disabled)
	return u, err
}

// AddUser inserts a user; an address that is taken is refused by the schema.
func (t *Tx) AddUser(ctx context.Context, u User) error {
	_, err := t.exec(ctx, "adding user "+u.Email, `INSERT INTO app_user (`+userColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		u.ID, strings.ToLower(u.Email), u.Name, u.Hash, u.Lang, Micros(u.Created), Micros(u.Disabled))
	return err
}

// SetPassword stores a new password's hash.
func (t *Tx) SetPassword(ctx context.Context, user, hash string) error {
	_, err := t.exec(ctx, "changing a password", `UPDATE app_user SET hash = $1 WHERE id = $2`, hash, user)
	return err
}

// DisableUser takes an account out of use; the zero time brings it back.
func (t *Tx) DisableUser(ctx context.Context, user string, at time.Time) error {
	_, err := t.exec(ctx, "disabling a user", `UPDATE app_user SET disabled = $1 WHERE id = $2`, Micros(at), user)
	return err
}

// SetMember gives a user a role in an organisation, in place of an older one.
func (t *Tx) SetMember(ctx context.Context, m Member) error {
	_, err := t.exec(ctx, "adding a member", `INSERT INTO member (org_id, user_id, role) VALUES ($1, $2, $3)
		ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role`, m.Org, m.User, m.Role)
	return err
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

// Users lists all users by address.
func (r Reader) Users(ctx context.Context) ([]User, error) {
	return all(ctx, r, "listing users", `SELECT `+userColumns+` FROM app_user ORDER BY email`, nil, scanUser)
}

func scanMember(row func(...any) error) (Member, error) {
	var m Member
	err := row(&m.Org, &m.User, &m.Role)
	return m, err
}

// Members lists all roles of all users.
func (r Reader) Members(ctx context.Context) ([]Member, error) {
	return all(ctx, r, "reading roles", `SELECT org_id, user_id, role FROM member ORDER BY user_id, org_id`, nil, scanMember)
}

// MembersOf lists the roles of a user.
func (r Reader) MembersOf(ctx context.Context, user string) ([]Member, error) {
	return all(ctx, r, "reading roles", `SELECT org_id, user_id, role FROM member WHERE user_id = $1 ORDER BY org_id`, []any{user}, scanMember)
}
