// Package duties holds the catalogue of duties and judges them: pure functions
// over facts, without clock, files or network. The same question always has the
// same answer, so that history can be judged again.
package duties

import (
	"time"

	"github.com/attesto/attesto/evidence"
)

// Text is a text in the languages of the product.
type Text struct {
	EN string `yaml:"en"`
	IT string `yaml:"it"`
}

// In returns the text in a language; English for one that is not known.
func (t Text) In(lang string) string {
	if lang == Italian {
		return t.IT
	}
	return t.EN
}

// missing reports whether it lacks a language.
func (t Text) missing() bool { return t.EN == "" || t.IT == "" }

// The languages of the product.
const (
	English = "en"
	Italian = "it"
)

// The two parties of a duty.
const (
	Provider = "provider"
	Customer = "customer"
)

// The ways in which a part of a duty can be proven.
const (
	ProofCheck       = "check"       // facts that agents collected, judged by a check
	ProofReview      = "review"      // a person of the party confirmed having looked
	ProofWorkflow    = "workflow"    // what happened on the server itself
	ProofAttestation = "attestation" // a person states it, until a date
)

// Duty is one duty of the shared-responsibility list.
type Duty struct {
	ID           string
	Service      string // sc, wh, pe or bk
	Party        string // Provider or Customer
	Title        Text
	Cadence      string // as the list states it
	CadenceText  Text
	Every        time.Duration // 0 when it waits for an event
	SetByYou     bool          // the list names no figure: Every is a default that an organisation may change
	Any          bool          // one proven part is enough; otherwise the duty is as good as its weakest part
	Parts        []Part
	Acknowledged bool       // who looked before a failure came has not acknowledged it
	Attested     bool       // what no host can show is left to what its party states
	Asked        [][]string // of each set of protocols one must be among the endpoints that are asked
	Family       Family
	Own          bool // of the operator, not of the list
}

// Part is one thing that a duty asks for.
type Part struct {
	Name   string // the check's name, or the proof's
	Proof  string
	Check  string          // of ProofCheck: which
	Kinds  []evidence.Kind // of ProofCheck: what it reads
	Params map[string]Param
	Title  Text
	Judged bool // this build can judge it; otherwise it is unproven and says so
}

// Family groups duties of one nature with the clauses that ask for them. Only
// references with a source are listed.
type Family struct {
	ID       string   `yaml:"id"`
	Title    Text     `yaml:"title"`
	GDPR     []string `yaml:"gdpr"`     // Regulation (EU) 2016/679
	NIS2     []string `yaml:"nis2"`     // points of the annex to Implementing Regulation (EU) 2024/2690
	Dlgs138  []string `yaml:"dlgs138"`  // letters of D.Lgs. 138/2024, art. 24(2)
	ISO27001 []string `yaml:"iso27001"` // controls of ISO/IEC 27001:2022 annex A
	AgID     []string `yaml:"agid"`     // ABSC of Circolare AgID 2/2017
	Codes    []string `yaml:"codes"`    // codes of conduct (GDPR art. 40)
	Duties   []string `yaml:"duties"`
	All      bool     `yaml:"all"`      // its clauses stand with every duty
	Services []string `yaml:"services"` // its clauses stand with every duty of these services
}

// Agent is a host that should prove a duty.
type Agent struct {
	ID       string
	Name     string
	Enrolled time.Time
	Forked   bool          // its chain has two continuations: what it sends proves nothing
	Skew     time.Duration // server time minus the host's clock
	Talked   time.Time     // it was in touch with the server last, whatever it brought; zero if unknown
}

// Seen is one look of an agent, as stored.
type Seen struct {
	Agent    string
	Kind     evidence.Kind
	Schema   int
	Log      string
	Index    int64
	Received time.Time
	From, To time.Time     // the window that it speaks about, by the host's clock
	Skew     time.Duration // server time minus the host's clock when it was recorded
	Outcome  evidence.Outcome
	Reason   string
	Blob     []byte // the facts blob; nil when it never came, was erased, or was not needed
}

// Review is one confirmation by a person of the party.
type Review struct {
	At    time.Time
	Log   string
	Index int64
}

// Raised is an alert that was raised, and what became of it.
type Raised struct {
	Name                            string    // of what it is about
	Opened, Delivered, Acked, Ended time.Time // zero: not yet
}

// Params are the values of a part's parameters that an organisation has set.
type Params map[string]float64

// Question is all that a duty is judged on.
type Question struct {
	At      time.Time
	Zone    *time.Location    // a day is a calendar day there; UTC when nil
	Params  map[string]Params // by part; what is not set has its default
	Agents  []Agent           // who should prove it
	Facts   []Seen            // oldest first; what Needs asks for
	Reviews []Review          // oldest first

	Alerts []Raised // of this duty: open, or ended within Recall

	Statements []Statement // of the party about this duty, oldest first
	Cases      []Case      // of the organisation, open or ended within Recall
	Problems   []Problem   // that the provider found, of a duty to tell customers of them
	Dealt      []Case      // that were opened about what a check found, with whomever they stand
	Watched    bool        // somebody of the party can be reached, so that no case means no occasion

	days     int      // of the duty's windows
	releases Releases // of the catalogue
	past     *past    // of a question that Replay asks
}

// Cite names a log entry that a finding rests on.
type Cite struct {
	Log   string `json:"log"`
	Index int64  `json:"index"`
}

// Finding is a judgement.
type Finding struct {
	Verdict Verdict
	Why     Message
	Cites   []Cite
	Due     time.Time // when it must be judged again for time alone; zero for never

	measured time.Time // when what it rests on was measured; zero where nobody measured anything
	stated   bool      // it rests on what people state
}

// Asset is what a finding speaks about: a host, or one thing of it (a job, an
// address).
type Asset struct {
	Agent string `json:"agent,omitempty"`
	Host  string `json:"host,omitempty"` // the agent's name
	Thing string `json:"thing,omitempty"`
}

// Key identifies the asset within a part.
func (a Asset) Key() string {
	if a.Thing == "" {
		return a.Agent
	}
	return a.Agent + "/" + a.Thing
}

// String is the asset's name for people.
func (a Asset) String() string {
	if a.Thing == "" {
		return a.Host
	}
	return a.Host + ": " + a.Thing
}

// AssetFinding is a check's judgement of one asset.
type AssetFinding struct {
	Asset
	Finding
	// Stopped says that good evidence used to come and no longer does.
	Stopped bool
	// Building says that all is well and only time is missing.
	Building bool
	// Shown is when a look showed it last, of what a case can be opened about.
	Shown time.Time
	// Found says that somebody must look at it, though nothing is breached by it.
	Found bool
	// Past says that nothing can be done about it any more.
	Past bool

	proto string // of an endpoint, where it may be one that the duty asks for
}

// Alarming reports whether somebody must be told: a breach, evidence that stopped, or
// something to look at.
func (f AssetFinding) Alarming() bool {
	return f.Verdict == Breached && !f.Past || f.Stopped || f.Found
}

// PartFinding is the judgement of one part; Assets stand for checks (hosts and their
// things) and workflows (cases), weakest first.
type PartFinding struct {
	Part Part
	Finding
	Assets []AssetFinding
}
