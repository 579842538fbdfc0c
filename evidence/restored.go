package evidence

import "fmt"

// Restored is what a host states that was set back to an earlier state of its disk,
// as from a snapshot, and took up its chain again where the log has it.
type Restored struct {
	// From and To are the first and the last record that the log holds of this agent
	// and that the disk did not know any more.
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	// Aside is how many records were sealed after the disk was set back and never
	// became part of the chain; the host keeps them.
	Aside int `json:"aside"`
}

// Kind returns KindRestored.
func (Restored) Kind() Kind { return KindRestored }

// Validate checks the order of the numbers.
func (r Restored) Validate() error {
	if r.From < 1 || r.To < r.From || r.To > 1<<53 || r.Aside < 0 {
		return fmt.Errorf("from record %d to %d, %d set aside", r.From, r.To, r.Aside)
	}
	return nil
}
