package health

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxUnits bounds the failed units in facts and the services that can be required.
const maxUnits = 200

var (
	// unitName is what systemd.unit(5) allows in a name.
	unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,255}$`)
	// fullName has a suffix of systemd.unit(5) as well.
	fullName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,246}\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope|snapshot)$`)
)

// ParseFailedUnits reads the output of "systemctl list-units --state=failed":
// JSON where systemctl knows --output=json for it (since systemd 246), a table
// with or without its legend elsewhere. The names come back sorted.
func ParseFailedUnits(data []byte) ([]string, error) {
	data = bytes.TrimSpace(data)
	var names []string
	var err error
	if bytes.HasPrefix(data, []byte("[")) {
		names, err = failedFromJSON(data)
	} else {
		names, err = failedFromTable(string(data))
	}
	if err != nil {
		return nil, fmt.Errorf("failed units: %w", err)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func failedFromJSON(data []byte) ([]string, error) {
	var units []struct {
		Unit   string `json:"unit"`
		Active string `json:"active"`
	}
	if err := json.Unmarshal(data, &units); err != nil {
		return nil, err
	}
	var names []string
	for i, u := range units {
		if !fullName.MatchString(u.Unit) || u.Active == "" {
			return nil, fmt.Errorf("entry %d: unit %.80q is %.20q", i, u.Unit, u.Active)
		}
		if u.Active == "failed" {
			names = append(names, u.Unit)
		}
	}
	return names, nil
}

// failedFromTable reads lines such as "● cups.service loaded failed failed CUPS
// Scheduler". The table ends at the first empty line; a legend follows.
func failedFromTable(text string) ([]string, error) {
	var names []string
	for n, line := range strings.Split(text, "\n") {
		fields := strings.Fields(strings.TrimLeft(line, "●×*↻ \t"))
		switch {
		case len(fields) == 0 && n > 0, strings.HasPrefix(line, "0 loaded units listed"):
			return names, nil
		case len(fields) == 0, fields[0] == "UNIT":
			continue
		case len(fields) < 4 || !fullName.MatchString(fields[0]):
			return nil, fmt.Errorf("line %d: %.80q is no row of systemctl's table", n+1, line)
		case fields[2] == "failed":
			names = append(names, fields[0])
		}
	}
	return names, nil
}

// Unit is what systemctl show says of one unit.
type Unit struct {
	ID, Load, Active, Sub string
	// Parts are the units that stop with it (ConsistsOf): instances that a
	// wrapper stands for.
	Parts []string
}

// ParseShow reads the output of "systemctl show -p …": blocks of KEY=value, one
// a unit, with an empty line between them.
func ParseShow(data []byte) ([]Unit, error) {
	var units []Unit
	for _, block := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		var u Unit
		for line := range strings.Lines(block) {
			key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok {
				return nil, fmt.Errorf("systemctl show: %.80q is no KEY=value", line)
			}
			switch key {
			case "Id":
				u.ID = value
			case "LoadState":
				u.Load = value
			case "ActiveState":
				u.Active = value
			case "SubState":
				u.Sub = value
			case "ConsistsOf":
				u.Parts = strings.Fields(value)
			}
		}
		if u.Active == "" {
			return nil, fmt.Errorf("systemctl show: a unit (%.80q) without ActiveState", u.ID)
		}
		units = append(units, u)
	}
	return units, nil
}
