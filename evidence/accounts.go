package evidence

import (
	"fmt"
	"slices"
)

// Accounts says how old the passwords of a host's accounts are, which rules hold for
// them, and who may read its secrets. Names are pseudonyms unless the operator asks
// for names; a password's hash, or a part of one, is never in it.
type Accounts struct {
	Accounts []Account      `json:"accounts"` // those that can be signed in with
	Policy   PasswordPolicy `json:"policy"`
	Remote   *RemoteLogin   `json:"remote,omitempty"`  // over SSH; absent where it is not offered or was not read
	Sudo     *Sudo          `json:"sudo,omitempty"`    // absent where there is none, or it was not read
	Secrets  []SecretFile   `json:"secrets,omitempty"` // files with keys and passwords
}

// The states of an Account.
const (
	AccountPassword = "password" // signs in with a password
	AccountEmpty    = "empty"    // signs in without one
	AccountLocked   = "locked"   // no password: keys at most
	AccountUnknown  = "unknown"  // could not be read
)

// Account is one.
type Account struct {
	Name    string `json:"name"`            // a pseudonym, or the name
	State   string `json:"state"`           // AccountPassword …
	Admin   bool   `json:"admin,omitempty"` // root, or with all its rights
	Changed *Time  `json:"changed,omitempty"`
	MaxDays *int   `json:"maxDays,omitempty"` // its password must be changed after so many days; absent: never
	Must    bool   `json:"must,omitempty"`    // at the next sign-in
	Expired bool   `json:"expired,omitempty"` // the account itself has ended
}

// PasswordPolicy are the rules for new passwords. What is absent was not found.
type PasswordPolicy struct {
	MaxDays   *int `json:"maxDays,omitempty"`   // for new accounts
	MinLength *int `json:"minLength,omitempty"` // characters
	Classes   *int `json:"classes,omitempty"`   // of characters
	Quality   bool `json:"quality"`             // new passwords are tried for weakness
	History   *int `json:"history,omitempty"`   // old ones that may not come again
	Lockout   *int `json:"lockout,omitempty"`   // failures after which an account is locked
}

// RemoteLogin is how one can sign in from afar.
type RemoteLogin struct {
	Passwords bool   `json:"passwords"` // with a password
	Root      string `json:"root"`      // "no", "keys" or "yes"
	Empty     bool   `json:"empty"`     // with none at all
}

// Sudo is who may act as another account.
type Sudo struct {
	Rules int        `json:"rules"`
	Free  []SudoFree `json:"free,omitempty"` // without a password
}

// SudoFree is a right that asks for no password.
type SudoFree struct {
	Who string `json:"who"` // a pseudonym or name, "%group", an alias, or ALL
	All bool   `json:"all"` // of every command
}

// SecretFile is a file that holds a key or a password.
type SecretFile struct {
	Kind  string `json:"kind"` // "ssh_host_key", "ssh_key", "backup", "tls"
	Count int    `json:"count"`
	Open  int    `json:"open"` // of them: readable to others than the owner and, for tls, its group
}

// MaxAccounts bounds the accounts of a look.
const MaxAccounts = 2000

// Kind returns KindAccounts.
func (Accounts) Kind() Kind { return KindAccounts }

// Validate checks words and bounds.
func (a Accounts) Validate() error {
	if len(a.Accounts) > MaxAccounts || len(a.Secrets) > 20 {
		return fmt.Errorf("%d accounts, %d kinds of secrets", len(a.Accounts), len(a.Secrets))
	}
	seen := map[string]bool{}
	for _, c := range a.Accounts {
		if c.Name == "" || len(c.Name) > 64 || seen[c.Name] || !slices.Contains([]string{AccountPassword, AccountEmpty, AccountLocked, AccountUnknown}, c.State) {
			return fmt.Errorf("account %q, state %q", c.Name, c.State)
		}
		seen[c.Name] = true
	}
	for _, n := range []*int{a.Policy.MaxDays, a.Policy.MinLength, a.Policy.Classes, a.Policy.History, a.Policy.Lockout} {
		if n != nil && (*n < 0 || *n > 1_000_000) {
			return fmt.Errorf("policy: %d", *n)
		}
	}
	if a.Remote != nil && !slices.Contains([]string{"no", "keys", "yes"}, a.Remote.Root) {
		return fmt.Errorf("remote login of root %q", a.Remote.Root)
	}
	if a.Sudo != nil {
		if a.Sudo.Rules < 0 || len(a.Sudo.Free) > MaxAccounts {
			return fmt.Errorf("sudo: %d rules, %d without a password", a.Sudo.Rules, len(a.Sudo.Free))
		}
		for _, f := range a.Sudo.Free {
			if f.Who == "" || len(f.Who) > 300 {
				return fmt.Errorf("sudo: who %q", f.Who)
			}
		}
	}
	for _, s := range a.Secrets {
		if !codeWord(s.Kind, "_") || s.Count < 0 || s.Open < 0 || s.Open > s.Count {
			return fmt.Errorf("secrets %q: %d of %d open", s.Kind, s.Open, s.Count)
		}
	}
	return nil
}
