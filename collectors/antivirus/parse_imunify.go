package antivirus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// imunifyName is the product's name in facts, of Imunify360 and ImunifyAV alike.
const imunifyName = "imunify"

// imunifyStatus is what "rstatus --json" of imunify360-agent and imunify-antivirus prints
// (Imunify documentation, Command-line interface, Rstatus). The licence stands at the top,
// and again in license; versions before 4 have it in license alone. Every other answer has
// license and version too.
type imunifyStatus struct {
	Status      *bool           `json:"status"`
	LicenceType string          `json:"license_type"`
	Version     string          `json:"version"`
	Licence     *imunifyLicence `json:"license"`
	Items       json.RawMessage `json:"items"`
	MaxCount    *int64          `json:"max_count"`
}

type imunifyLicence struct {
	Status      *bool    `json:"status"`
	LicenceType string   `json:"license_type"`
	Expiration  *float64 `json:"expiration"` // seconds since 1970; null: never
}

func parseEnvelope(data []byte) (imunifyStatus, error) {
	var s imunifyStatus
	data = bytes.TrimSpace(data)
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("not JSON of imunify360-agent: %w", err)
	}
	return s, nil
}

// ParseImunifyStatus reads rstatus --json.
func ParseImunifyStatus(data []byte, now time.Time) (evidence.AntivirusProduct, error) {
	p := unknownProduct(imunifyName)
	s, err := parseEnvelope(data)
	if err != nil {
		return p, err
	}
	if s.Status == nil && (s.Licence == nil || s.Licence.Status == nil) {
		return p, errors.New("not rstatus --json of imunify360-agent: neither status nor license says whether the licence is valid")
	}
	p.Licence = evidence.Yes
	for _, valid := range []*bool{s.Status, licenceStatus(s.Licence)} {
		if valid != nil && !*valid {
			p.Licence = evidence.No
		}
	}
	if l := s.Licence; l != nil && l.Expiration != nil && *l.Expiration > 0 && *l.Expiration < float64(now.Unix()) {
		p.Licence = evidence.No
	}
	if len(s.Version) <= 60 {
		p.Engine = s.Version
	}
	return p, nil
}

func licenceStatus(l *imunifyLicence) *bool {
	if l == nil {
		return nil
	}
	return l.Status
}

// ParseImunifyMalware reads "malware malicious list --json": files that were found, with
// status found, cleanup_… and so on. Only those with status found, or one that says that
// nothing was done, wait. A list that is shorter than max_count was cut by its --limit:
// then the count is at least what it shows.
func ParseImunifyMalware(data []byte) (threats int64, whole bool, err error) {
	s, err := parseEnvelope(data)
	if err != nil {
		return 0, false, err
	}
	var items []struct {
		Status    string          `json:"status"`
		Malicious *bool           `json:"malicious"`
		CleanedAt json.RawMessage `json:"cleaned_at"`
	}
	if s.Items == nil {
		return 0, false, errors.New("not malware malicious list --json of imunify360-agent: no items")
	}
	if err := json.Unmarshal(s.Items, &items); err != nil {
		return 0, false, fmt.Errorf("malware malicious list --json of imunify360-agent: %w", err)
	}
	for _, i := range items {
		cleaned := len(i.CleanedAt) > 0 && string(i.CleanedAt) != "null"
		if (i.Malicious == nil || *i.Malicious) && !cleaned && i.Status != "cleanup_done" && i.Status != "cleanup_removed" {
			threats++
		}
	}
	return threats, s.MaxCount == nil || *s.MaxCount <= int64(len(items)), nil
}

// ParseImunifyScans reads "malware on-demand list --json": the scan that ended last.
func ParseImunifyScans(data []byte) (*evidence.AntivirusScan, error) {
	s, err := parseEnvelope(data)
	if err != nil {
		return nil, err
	}
	var items []struct {
		Completed *float64        `json:"completed"` // seconds since 1970; null while it runs
		Started   *float64        `json:"started"`
		Total     *int64          `json:"total_resources"`
		Files     *int64          `json:"total"`
		Malicious *int64          `json:"total_malicious"`
		Error     json.RawMessage `json:"error"`
	}
	if s.Items == nil {
		return nil, errors.New("not malware on-demand list --json of imunify360-agent: no items")
	}
	if err := json.Unmarshal(s.Items, &items); err != nil {
		return nil, fmt.Errorf("malware on-demand list --json of imunify360-agent: %w", err)
	}
	var last *evidence.AntivirusScan
	best := 0.0
	for _, i := range items {
		failed := len(i.Error) > 0 && string(i.Error) != "null" && string(i.Error) != `""`
		if i.Completed == nil || *i.Completed <= best || *i.Completed > 1<<36 || failed {
			continue
		}
		best = *i.Completed
		last = &evidence.AntivirusScan{At: moment(time.Unix(int64(best), 0)), Files: positive(i.Total), Infected: positive(i.Malicious)}
		if last.Files == nil {
			last.Files = positive(i.Files)
		}
		if i.Started != nil && *i.Started > 0 && *i.Started <= best {
			n := int64(best - *i.Started)
			last.Seconds = &n
		}
	}
	return last, nil
}

func positive(n *int64) *int64 {
	if n == nil || *n < 0 {
		return nil
	}
	return n
}

// unknownProduct is one of which nothing was seen yet.
func unknownProduct(name string) evidence.AntivirusProduct {
	return evidence.AntivirusProduct{Name: name, Definitions: []evidence.Definitions{},
		Update: evidence.AntivirusUpdate{Result: evidence.UpdateUnknown}, RealTime: evidence.Unknown}
}
