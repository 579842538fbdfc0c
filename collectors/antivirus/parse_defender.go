package antivirus

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/attesto/attesto/evidence"
)

const defenderName = "defender"

// ParseDefender reads what Get-MpComputerStatus says (MSFT_MpComputerStatus), as JSON
// (| ConvertTo-Json) or as PowerShell's list of "Name : value". Names of properties are the
// same in every language. A property that is not there is unknown. at is when it was asked.
func ParseDefender(data []byte, at time.Time) (evidence.AntivirusProduct, error) {
	p := unknownProduct(defenderName)
	m, err := defenderProperties(data)
	if err != nil {
		return p, err
	}
	if m["AMProductVersion"] == "" && m["AntivirusSignatureAge"] == "" {
		return p, errors.New("not Get-MpComputerStatus: neither AMProductVersion nor AntivirusSignatureAge is in it")
	}
	p.Engine = short(m["AMEngineVersion"])
	d := evidence.Definitions{Name: "antivirus", Version: short(m["AntivirusSignatureVersion"]), Decides: true, Built: defenderTime(m["AntivirusSignatureLastUpdated"])}
	if n, ok := days(m["AntivirusSignatureAge"]); ok {
		d.Days = &n
	}
	if d.Built != nil || d.Days != nil {
		p.Definitions = append(p.Definitions, d)
	}
	p.Running = all(m, "AMServiceEnabled", "AntivirusEnabled")
	p.RealTime = all(m, "RealTimeProtectionEnabled", "OnAccessProtectionEnabled")
	switch mode := m["AMRunningMode"]; {
	case strings.Contains(mode, "Passive"), strings.HasPrefix(mode, "EDR Block"):
		p.Passive = true
	case mode == "Not running":
		p.Running = evidence.No
	}
	defenderScans(&p, m, at)
	return p, nil
}

// defenderScans finds the later of the quick and the full scan. An age of 2^32-1 days
// stands for never.
func defenderScans(p *evidence.AntivirusProduct, m map[string]string, at time.Time) {
	known := 0
	for _, kind := range []string{"Quick", "Full"} {
		age := m[kind+"ScanAge"]
		if age == "4294967295" || age == "-1" {
			known++
			continue
		}
		end := defenderTime(m[kind+"ScanEndTime"])
		if n, ok := days(age); ok && end == nil {
			end = moment(at.Add(-time.Duration(n) * 24 * time.Hour).Truncate(24 * time.Hour))
		}
		if end != nil && (p.Scan == nil || end.After(p.Scan.At.Time)) {
			p.Scan = &evidence.AntivirusScan{At: end}
		}
	}
	p.NeverScans = known == 2
}

// days reads an age; 65535 and more are Defender's words for none.
func days(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n < 65535
}

// all is yes if every property is true, no if one is false.
func all(m map[string]string, names ...string) string {
	out := evidence.Yes
	for _, name := range names {
		switch strings.ToLower(m[name]) {
		case "true":
		case "false":
			return evidence.No
		default:
			out = evidence.Unknown
		}
	}
	return out
}

func short(s string) string {
	if len(s) > 60 {
		return ""
	}
	return s
}

func defenderProperties(data []byte) (map[string]string, error) {
	m := map[string]string{}
	text := strings.TrimSpace(strings.TrimPrefix(utf8Of(data), "\ufeff"))
	if strings.HasPrefix(text, "{") {
		var raw map[string]any
		if err := json.Unmarshal([]byte(text), &raw); err != nil {
			return nil, fmt.Errorf("not Get-MpComputerStatus | ConvertTo-Json: %w", err)
		}
		for k, v := range raw {
			switch v := v.(type) {
			case string:
				m[k] = v
			case bool:
				m[k] = strconv.FormatBool(v)
			case float64:
				m[k] = strconv.FormatInt(int64(v), 10)
			case map[string]any: // PowerShell 5: {"value": "/Date(…)/", "DateTime": …}
				if s, ok := v["value"].(string); ok {
					m[k] = s
				}
			}
		}
		return m, nil
	}
	for line := range lines([]byte(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && len(m) < 500 {
			m[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return m, nil
}

// utf8Of is a text that PowerShell 5 may have written as UTF-16 (its ">" does).
func utf8Of(data []byte) string {
	if len(data) < 2 || data[0] != 0xff || data[1] != 0xfe {
		return string(data)
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(data[i:]))
	}
	return string(utf16.Decode(units))
}

var (
	dateOfJSON = regexp.MustCompile(`^/Date\((-?\d{1,15})\)/$`)
	dateOfList = regexp.MustCompile(`^(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}:\d\d:\d\d [AP]M)$`)
)

// defenderTime reads a time. The list's form depends on the language of the host: "8/6/2021"
// may be either of two days, and is left out; "8/22/2021" can only be one. Its zone is not
// told; UTC is taken.
func defenderTime(s string) *evidence.Time {
	if m := dateOfJSON.FindStringSubmatch(s); m != nil {
		ms, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || ms <= 0 {
			return nil
		}
		return moment(time.UnixMilli(ms))
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.Unix() > 0 {
		return moment(t)
	}
	m := dateOfList.FindStringSubmatch(s)
	if m == nil {
		return nil
	}
	a, b := m[1], m[2]
	first, _ := strconv.Atoi(a) // digits
	second, _ := strconv.Atoi(b)
	if first <= 12 && second <= 12 && first != second {
		return nil
	}
	if first > 12 {
		a, b = b, a
	}
	t, err := time.Parse("1/2/2006 3:04:05 PM", a+"/"+b+"/"+m[3]+" "+m[4])
	if err != nil {
		return nil
	}
	return moment(t)
}
