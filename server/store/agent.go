package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// The states of an agent. What a forked agent sends is kept and proves nothing
// until the host is enrolled anew; a revoked one is refused.
const (
	AgentActive  = "active"
	AgentForked  = "forked"
	AgentRevoked = "revoked"
)

// Agent is an enrolled host.
type Agent struct {
	ID          string
	Org         string
	Name        string // host name as stated at enrollment
	SPKI        []byte
	Witness     []byte // raw Ed25519 key that cosigns checkpoints
	Machine     evidence.Digest
	OS          string
	Version     string
	Services    []string
	PushHash    evidence.Digest
	State       string
	Enrolled    time.Time
	EnrollIndex int64
	Seq         int64           // of the last accepted record, 0 for none
	Stmt        evidence.Digest // of the last accepted statement, the enrollment at first
	Seen        time.Time       // last push
	Skew        time.Duration   // server time minus agent time at the last fresh record
	Lost        int64           // runs that it said it had to drop
	Suspect     time.Time       // what was received from then on is distrusted; zero for nothing
	Rotated     int64           // the record with which it changed its key last; 0 for never
	Held        time.Time       // since when it waits for approval; zero when it does not
	From        string          // address at its enrollment
	Replaces    string          // the agent of this host before; "" for none
	Protection  string          // of its key: file, systemd-creds, tpm2; as the agent stated it
	Backlog     int64           // records that waited on the host behind its last push, as it said
	Customers   []string        // of a provider's agent: whom it works for; all that have its services when empty
}

// Serves reports whether what the agent sees counts for a service of a customer; of
// the provider's own board for an empty one.
func (a Agent) Serves(service, customer string) bool {
	return slices.Contains(a.Services, service) && (customer == "" || len(a.Customers) == 0 || slices.Contains(a.Customers, customer))
}

// AgentWaiting is the standing of an agent that waits for approval.
const AgentWaiting = "waiting"

// Standing is the agent's state for people: waiting, or that of its row.
func (a Agent) Standing() string {
	if !a.Held.IsZero() && a.State == AgentActive {
		return AgentWaiting
	}
	return a.State
}

const agentColumns = `id, org_id, name, spki, witness, machine, os, version, services, push_hash, state,
	enrolled, enroll_idx, seq, stmt, seen, skew_ms, lost, rotated, suspect, held, came_from, replaces, protection, customers, backlog`

func scanAgent(row func(...any) error) (Agent, error) {
	var a Agent
	var services, customers string
	var machine, push, stmt []byte
	var enrolled, seen, skew, suspect, held int64
	err := row(&a.ID, &a.Org, &a.Name, &a.SPKI, &a.Witness, &machine, &a.OS, &a.Version, &services, &push, &a.State,
		&enrolled, &a.EnrollIndex, &a.Seq, &stmt, &seen, &skew, &a.Lost, &a.Rotated, &suspect,
		&held, &a.From, &a.Replaces, &a.Protection, &customers, &a.Backlog)
	if err != nil {
		return a, err
	}
	a.Customers = splitList(customers)
	a.Services, a.Enrolled, a.Seen, a.Suspect, a.Held = splitList(services), Time(enrolled), Time(seen), Time(suspect), Time(held)
	a.Skew = time.Duration(skew) * time.Millisecond
	a.Machine, a.PushHash, a.Stmt = digest(machine), digest(push), digest(stmt)
	return a, nil
}

// digest reads a column of 32 bytes; anything else is the zero digest, which is
// equal to none that is computed.
func digest(b []byte) evidence.Digest {
	var d evidence.Digest
	if len(b) == len(d) {
		copy(d[:], b)
	}
	return d
}

// optional is a digest's column where zero stands for none.
func optional(d evidence.Digest) []byte {
	if d.IsZero() {
		return nil
	}
	return d[:]
}

// AddAgent inserts an agent unless its key is enrolled anywhere or its machine is
// active in its organisation; then it reports false.
func (t *Tx) AddAgent(ctx context.Context, a Agent) (bool, error) {
	n, err := t.exec(ctx, "adding an agent", `INSERT INTO agent (`+agentColumns+`)
		VALUES `+values(1, 26)+` ON CONFLICT DO NOTHING`,
		a.ID, a.Org, a.Name, a.SPKI, a.Witness, optional(a.Machine), a.OS, a.Version, strings.Join(a.Services, ","), a.PushHash[:], a.State,
		Micros(a.Enrolled), a.EnrollIndex, a.Seq, a.Stmt[:], Micros(a.Seen), a.Skew.Milliseconds(), a.Lost, a.Rotated, Micros(a.Suspect),
		Micros(a.Held), a.From, a.Replaces, a.Protection, strings.Join(a.Customers, ","), a.Backlog)
	return n == 1, err
}

// Agent reads one agent; ErrNotFound when there is none.
func (r Reader) Agent(ctx context.Context, id string) (Agent, error) {
	return r.oneAgent(ctx, "id", id)
}

// AgentByPush finds the agent of a push token by the token's SHA-256.
func (r Reader) AgentByPush(ctx context.Context, hash evidence.Digest) (Agent, error) {
	return r.oneAgent(ctx, "push_hash", hash[:])
}

// AgentByKey finds the agent that signs with a key, or did.
func (r Reader) AgentByKey(ctx context.Context, spki []byte) (Agent, error) {
	a, err := r.oneAgent(ctx, "spki", spki)
	if !errors.Is(err, ErrNotFound) {
		return a, err
	}
	return r.oneAgent(ctx, "id", r.oldOwner(ctx, spki))
}

// oldOwner is the agent that once used a key, "" for none.
func (r Reader) oldOwner(ctx context.Context, spki []byte) string {
	var id string
	_ = r.one(ctx, "finding an old key", `SELECT agent_id FROM agent_key WHERE spki = $1`, []any{spki}, &id) // none: no agent has the id ""
	return id
}

// OldKey is a key that an agent used up to a record.
type OldKey struct {
	Upto       int64
	SPKI       []byte
	Protection string
}

// OldKeys lists the keys that an agent does not use any more, oldest first.
func (r Reader) OldKeys(ctx context.Context, agent string) ([]OldKey, error) {
	return all(ctx, r, "listing old keys", `SELECT upto, spki, protection FROM agent_key WHERE agent_id = $1 ORDER BY upto`, []any{agent},
		func(row func(...any) error) (OldKey, error) {
			var k OldKey
			err := row(&k.Upto, &k.SPKI, &k.Protection)
			return k, err
		})
}

// KeyAt is the key that must have signed an agent's record of a number.
func (r Reader) KeyAt(ctx context.Context, a Agent, seq int64) ([]byte, error) {
	if seq > a.Rotated {
		return a.SPKI, nil
	}
	old, err := r.OldKeys(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range old {
		if seq <= k.Upto {
			return k.SPKI, nil
		}
	}
	return a.SPKI, nil
}

// RotateKey gives an agent another key, kept as it says, from after a record on.
func (t *Tx) RotateKey(ctx context.Context, id string, upto int64, old, next []byte, protection string) error {
	if _, err := t.exec(ctx, "keeping the old key of agent "+id, `INSERT INTO agent_key (agent_id, upto, spki, protection)
		SELECT id, CAST($2 AS BIGINT), $3, protection FROM agent WHERE id = $1`, id, upto, old); err != nil {
		return err
	}
	_, err := t.exec(ctx, "changing the key of agent "+id, `UPDATE agent SET spki = $2, rotated = $3, protection = $4 WHERE id = $1`, id, next, upto, protection)
	return err
}

// ProtectionAt is how the key was kept that signed an agent's record of a number.
func (r Reader) ProtectionAt(ctx context.Context, a Agent, seq int64) (string, error) {
	old, err := r.OldKeys(ctx, a.ID)
	for _, k := range old {
		if seq <= k.Upto {
			return k.Protection, err
		}
	}
	return a.Protection, err
}

func (r Reader) oneAgent(ctx context.Context, column string, value any) (Agent, error) {
	list, err := all(ctx, r, "reading an agent", `SELECT `+agentColumns+` FROM agent WHERE `+column+` = $1`, []any{value}, scanAgent)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("agent: %w", ErrNotFound)
	}
	if err != nil {
		return Agent{}, err
	}
	return list[0], nil
}

// Agents lists an organisation's agents by name.
func (r Reader) Agents(ctx context.Context, org string) ([]Agent, error) {
	return all(ctx, r, "listing agents", `SELECT `+agentColumns+` FROM agent WHERE org_id = $1 ORDER BY name, id`, []any{org}, scanAgent)
}

// Advance moves an agent on to its last accepted record.
func (t *Tx) Advance(ctx context.Context, id string, seq int64, stmt evidence.Digest, version string, skew time.Duration, lost int64) error {
	_, err := t.exec(ctx, "advancing agent "+id,
		`UPDATE agent SET seq = $2, stmt = $3, version = CASE WHEN $4 = '' THEN version ELSE $4 END, skew_ms = $5, lost = lost + $6 WHERE id = $1`,
		id, seq, stmt[:], version, skew.Milliseconds(), lost)
	return err
}

// Seen notes that an agent pushed, and how many records it said wait there yet.
func (t *Tx) Seen(ctx context.Context, id string, at time.Time, backlog int64) error {
	_, err := t.exec(ctx, "noting a push of agent "+id, `UPDATE agent SET seen = $2, backlog = $3 WHERE id = $1 AND seen < $2`, id, Micros(at), backlog)
	return err
}

// Release ends an agent's waiting for approval.
func (t *Tx) Release(ctx context.Context, id string) error {
	_, err := t.exec(ctx, "approving agent "+id, `UPDATE agent SET held = 0 WHERE id = $1`, id)
	return err
}

// EnrolledSince counts the agents that an organisation got since then.
func (r Reader) EnrolledSince(ctx context.Context, org string, since time.Time) (n int64, err error) {
	err = r.one(ctx, "counting new agents", `SELECT count(*) FROM agent WHERE org_id = $1 AND enrolled > $2`, []any{org, Micros(since)}, &n)
	return n, err
}

// SetAgentState changes an agent's state.
func (t *Tx) SetAgentState(ctx context.Context, id, state string) error {
	_, err := t.exec(ctx, "setting the state of agent "+id, `UPDATE agent SET state = $2 WHERE id = $1`, id, state)
	return err
}

// SetServes says for which services an agent stands, and for which customers.
func (t *Tx) SetServes(ctx context.Context, id string, services, customers []string) error {
	_, err := t.exec(ctx, "tagging agent "+id, `UPDATE agent SET services = $2, customers = $3 WHERE id = $1`,
		id, strings.Join(services, ","), strings.Join(customers, ","))
	return err
}

// Distrust notes from when on what an agent sent is distrusted.
func (t *Tx) Distrust(ctx context.Context, id string, from time.Time) error {
	_, err := t.exec(ctx, "distrusting agent "+id, `UPDATE agent SET suspect = $2 WHERE id = $1`, id, Micros(from))
	return err
}

// SetPush gives an agent another push token, by its SHA-256.
func (t *Tx) SetPush(ctx context.Context, id string, hash evidence.Digest) error {
	_, err := t.exec(ctx, "renewing the push token of agent "+id, `UPDATE agent SET push_hash = $2 WHERE id = $1`, id, hash[:])
	return err
}
