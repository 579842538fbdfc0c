package evidence

import "fmt"

// PredicateTestResult is in-toto's predicate for the outcome of a check
// (github.com/in-toto/attestation, spec/predicates/test-result.md).
const PredicateTestResult = "https://in-toto.io/attestation/test-result/v0.1"

// TestResult is a duty's verdict as in-toto states one, with what only we know
// under "attesto".
type TestResult struct {
	Result        string               `json:"result"` // PASSED, WARNED (unproven, not applicable, no occasion) or FAILED
	Configuration []ResourceDescriptor `json:"configuration"`
	Attesto       DutyVerdict          `json:"attesto"`
}

// ResourceDescriptor names a thing by digest, as in-toto does.
type ResourceDescriptor struct {
	Name   string        `json:"name"`
	Digest subjectDigest `json:"digest"`
}

// Resource describes a thing by name and digest.
func Resource(name string, d Digest) ResourceDescriptor {
	return ResourceDescriptor{name, subjectDigest{d}}
}

// DutyVerdict is how a duty stood when it was exported.
type DutyVerdict struct {
	Org      string     `json:"org"`
	Duty     string     `json:"duty"`
	State    string     `json:"state"` // fulfilled, breached, unproven, no_occasion, not_applicable
	Since    Time       `json:"since"`
	Judged   Time       `json:"judged"`
	Evidence []LogPlace `json:"evidence"` // the entries that it rests on
	Why      any        `json:"why"`      // message key and arguments
}

// LogPlace names an entry of a log.
type LogPlace struct {
	Origin string `json:"origin"`
	Index  int64  `json:"index"`
}

// SealTestResult signs a verdict about the file of that name and content.
func SealTestResult(s Signer, r TestResult, name string, content []byte) (Envelope, error) {
	if r.Attesto.Duty == "" || r.Result == "" {
		return Envelope{}, fmt.Errorf("verdict: %q on duty %q", r.Result, r.Attesto.Duty)
	}
	return sealStated(s, PredicateTestResult, r, []subject{{name, subjectDigest{Sum(content)}}})
}
