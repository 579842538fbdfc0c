package ledger

// The names of what is proven of one record.
const (
	ProofEntry     = "entry"     // the log's line and leaf hash stand for exactly this envelope
	ProofSignature = "signature" // the enrolled agent's key (or the server's) signed it
	ProofChain     = "chain"     // it follows the agent's record before it
	ProofContent   = "content"   // facts and detail are what the signed record names, or were erased
	ProofIndex     = "index"     // the tables that checks read agree with the signed record
	ProofInclusion = "inclusion" // the entry is in the tree under the log's current signed head
)

// Proof is the answer to one question about a stored record, found out anew each
// time from its bytes.
type Proof struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Why  string `json:"why,omitempty"` // why not; or what is worth to know although it holds
}
