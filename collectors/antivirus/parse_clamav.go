package antivirus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// headerSize is the length of the header of a database (libclamav, cvd.h: CVD_HEADER_SIZE).
const headerSize = 512

// Header is that of a ClamAV database.
type Header struct {
	Version    int64
	Signatures int64
	Level      int64     // functions that it needs of the engine
	Built      time.Time // field 8, seconds since 1970; field 1, of old builders, where that is missing
}

// ParseHeader reads the header of a .cvd, .cld or .cud file: 512 bytes of fields between
// colons, filled with blanks (libclamav, cl_cvdparse): "ClamAV-VDB", time, version,
// signatures, functionality level, digest, digital signature, builder, seconds since 1970.
func ParseHeader(data []byte) (Header, error) {
	if len(data) < headerSize {
		return Header{}, fmt.Errorf("not a ClamAV database: %d bytes, and its header alone has %d", len(data), headerSize)
	}
	f := strings.Split(strings.TrimRight(string(bytes.TrimRight(data[:headerSize], "\x00")), " \r\n"), ":")
	if len(f) < 8 || f[0] != "ClamAV-VDB" {
		return Header{}, errors.New("not a ClamAV database: it does not begin with ClamAV-VDB and eight fields")
	}
	var h Header
	var err error
	if h.Version, err = count(f[2]); err != nil {
		return Header{}, fmt.Errorf("version of a ClamAV database: %w", err)
	}
	if h.Signatures, err = count(f[3]); err != nil {
		return Header{}, fmt.Errorf("signatures of a ClamAV database: %w", err)
	}
	if h.Level, err = count(f[4]); err != nil {
		return Header{}, fmt.Errorf("functionality level of a ClamAV database: %w", err)
	}
	if len(f) > 8 {
		if seconds, err := count(strings.TrimSpace(f[8])); err == nil && seconds > 0 && seconds < 1<<36 {
			h.Built = time.Unix(seconds, 0)
			return h, nil
		}
	}
	if h.Built, err = time.Parse("02 Jan 2006 15-04 -0700", f[1]); err != nil {
		return Header{}, fmt.Errorf("time of a ClamAV database: neither field 8 nor field 1 (%.40q) holds one", f[1])
	}
	return h, nil
}

func count(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("%.40q is no count", s)
	}
	return n, nil
}

// deciding is the database that ClamAV renews every day; main and bytecode may be years old.
const deciding = "daily"

func (h Header) definitions(name string) evidence.Definitions {
	built := evidence.At(h.Built)
	d := evidence.Definitions{Name: name, Version: strconv.FormatInt(h.Version, 10), Built: &built, Decides: name == deciding}
	if h.Level <= 1_000_000 {
		d.Level = &h.Level
	}
	return d
}

// databaseName is the name of a database in a path, "" if the path is none's.
func databaseName(file string) string {
	base := path.Base(file)
	for _, ext := range []string{".cvd", ".cld", ".cud"} {
		if name, ok := strings.CutSuffix(base, ext); ok && name != "" && len(name) <= 100 {
			return name
		}
	}
	return ""
}

var versionLine = regexp.MustCompile(`^ClamAV (\d+\.\d+[\w.+~-]{0,40})(?:/(\d{1,9})/(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}))?\s*$`)

// ParseVersion reads what clamscan, clamd, clamdscan --version and clamd's command VERSION
// say: "ClamAV 1.4.3/27800/Sun Nov 22 09:30:00 2026": engine, version of the daily database,
// and its time in the zone of the program (clamscan(1), clamd(8)). Without a database
// nothing follows the engine.
func ParseVersion(data []byte, zone *time.Location) (engine string, daily *evidence.Definitions, err error) {
	for line := range lines(data) {
		m := versionLine.FindStringSubmatch(strings.TrimRight(line, "\x00"))
		if m == nil {
			continue
		}
		engine = m[1]
		if m[2] == "" {
			return engine, nil, nil
		}
		d := evidence.Definitions{Name: deciding, Version: m[2], Decides: true}
		if t, err := time.ParseInLocation("Mon Jan _2 15:04:05 2006", m[3], zone); err == nil && t.Unix() > 0 {
			built := evidence.At(t)
			d.Built = &built
		}
		return engine, &d, nil
	}
	return "", nil, errors.New(`not the version of ClamAV: no line such as "ClamAV 1.4.3/27800/Sun Nov 22 09:30:00 2026"`)
}

// parseConf reads clamd.conf(5) and freshclam.conf(5): a keyword and its value a line. Of
// a keyword that stands more than once, the first counts.
func parseConf(data []byte) map[string]string {
	conf := map[string]string{}
	for line := range lines(data) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "" || key[0] == '#' || conf[key] != "" || len(conf) > 500 {
			continue
		}
		conf[key] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return conf
}

func yes(s string) bool {
	switch strings.ToLower(s) {
	case "yes", "true", "1":
		return true
	}
	return false
}

func lines(data []byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		s := bufio.NewScanner(bytes.NewReader(data))
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			if !yield(strings.TrimRight(s.Text(), "\r")) {
				return
			}
		}
	}
}
