package antivirus

import (
	"errors"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// ParseScan reads what clamscan(1) and clamdscan(1) write with --log, or print: the last
// "SCAN SUMMARY" in it. Names of files are read past. The texts are not translated; dates
// ("End Date:   2026:11:26 21:31:00", since 0.103) are in the host's zone. Since a scan
// that is under way has no summary yet, one that was cut off is no scan.
func ParseScan(data []byte, zone *time.Location) (engine string, s *evidence.AntivirusScan, err error) {
	in := false
	for line := range lines(data) {
		if _, rest, ok := strings.Cut(line, " -> "); ok && stampedLine.MatchString(line) {
			line = rest
		}
		if strings.Contains(line, "- SCAN SUMMARY -") {
			in, s, engine = true, &evidence.AntivirusScan{}, ""
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !in || !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Engine version":
			if len(value) <= 60 {
				engine = value
			}
		case "Scanned files":
			s.Files = number(value)
		case "Infected files":
			s.Infected = number(value)
		case "Total errors":
			s.Errors = number(value)
		case "Time":
			whole, _, _ := strings.Cut(value, ".")
			s.Seconds = number(whole)
		case "End Date":
			if t, err := time.ParseInLocation("2006:01:02 15:04:05", value, zone); err == nil {
				s.At = moment(t)
			}
			in = false
		}
	}
	if s == nil || s.Infected == nil {
		return "", nil, errors.New(`not a whole log of clamscan: no "SCAN SUMMARY" with "Infected files"`)
	}
	return engine, s, nil
}

func number(s string) *int64 {
	n, err := count(s)
	if err != nil {
		return nil
	}
	return &n
}
