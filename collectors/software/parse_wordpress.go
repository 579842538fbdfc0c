package software

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Core is what a site's wp-includes/version.php says.
type Core struct {
	Version string // $wp_version: "6.8.3", "6.9-RC1"
	Locale  string // $wp_local_package: "it_IT"; empty for the package in English
}

var (
	phpAssign = regexp.MustCompile(`\$(wp_version|wp_local_package)\s*=\s*(?:'([^'\\\n]{0,64})'|"([^"\\$\n]{0,64})")\s*;`)
	// wpVersion is the form of WordPress' own releases, development builds among them.
	wpVersion = regexp.MustCompile(`^\d+(\.\d+){1,3}([-+.]?[A-Za-z][A-Za-z0-9.+-]*)?$`)
	wpLocale  = regexp.MustCompile(`^[a-z]{2,3}(_[A-Za-z]{2,4})?(_[A-Za-z0-9]{1,12})?$`)
)

// ParseWordPressVersion reads wp-includes/version.php as text: nothing of a site is
// ever run. What stands in comments does not count; the last assignment does, as in PHP.
func ParseWordPressVersion(php []byte) (Core, error) {
	var c Core
	for _, m := range phpAssign.FindAllStringSubmatch(phpCode(string(php)), -1) {
		value := m[2] + m[3]
		if m[1] == "wp_version" {
			c.Version = value
		} else if wpLocale.MatchString(value) {
			c.Locale = value
		}
	}
	switch {
	case c.Version == "":
		return Core{}, errors.New("version.php: assigns no $wp_version")
	case len(c.Version) > 40 || !wpVersion.MatchString(c.Version):
		return Core{}, fmt.Errorf("version.php: $wp_version is %s, which is none of WordPress' versions", show(c.Version))
	}
	return c, nil
}

// phpCode is PHP source without its comments (php.net/manual, "Comments"): marks of
// comments within strings are none.
func phpCode(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		rest := s[i:]
		switch {
		case s[i] == '#' && !strings.HasPrefix(rest, "#["), strings.HasPrefix(rest, "//"):
			i += upTo(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			i += 2 + upTo(rest[2:], "*/") + 2
		case s[i] == '\'' || s[i] == '"':
			n := phpString(rest)
			out.WriteString(rest[:n])
			i += n
		default:
			out.WriteByte(s[i])
			i++
		}
	}
	return out.String()
}

// upTo is where mark begins in s, or the end of s.
func upTo(s, mark string) int {
	if n := strings.Index(s, mark); n >= 0 {
		return n
	}
	return len(s)
}

// phpString is the length of the quoted string at the beginning of s, or all of s
// where it does not end.
func phpString(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}

// headBytes is how much of a plugin's or theme's file WordPress reads for its head
// (get_file_data in wp-includes/functions.php).
const headBytes = 8 << 10

var (
	pluginName  = regexp.MustCompile(`(?mi)^(?:[ \t]*<\?php)?[ \t/*#@]*Plugin Name:(.*)$`)
	themeName   = regexp.MustCompile(`(?mi)^(?:[ \t]*<\?php)?[ \t/*#@]*Theme Name:(.*)$`)
	headVersion = regexp.MustCompile(`(?mi)^(?:[ \t]*<\?php)?[ \t/*#@]*Version:(.*)$`)
	headEnd     = regexp.MustCompile(`\s*(?:\*/|\?>).*`)
)

// ParsePluginHeader reads the head of a plugin's main file as WordPress does
// (get_plugin_data): its title, and its version if it states one. ok is false for a
// file that is no plugin's.
func ParsePluginHeader(b []byte) (title, version string, ok bool) { return header(b, pluginName) }

// ParseThemeHeader reads the head of a theme's style.css (WP_Theme). ok is false for a
// style sheet that is no theme's.
func ParseThemeHeader(b []byte) (title, version string, ok bool) { return header(b, themeName) }

func header(b []byte, name *regexp.Regexp) (title, version string, ok bool) {
	text := strings.ReplaceAll(string(b[:min(len(b), headBytes)]), "\r", "\n")
	m := name.FindStringSubmatch(text)
	if m == nil || headValue(m[1]) == "" {
		return "", "", false
	}
	title = clip(headValue(m[1]))
	if m := headVersion.FindStringSubmatch(text); m != nil {
		version = headValue(m[1])
	}
	if !word(version) || len(version) > 64 {
		version = ""
	}
	return title, version, true
}

func headValue(s string) string { return strings.TrimSpace(headEnd.ReplaceAllString(s, "")) }

// ParseChecksums reads the answer of api.wordpress.org/core/checksums/1.0/ for one
// release and language: the MD5 of each file of the package, by its path.
func ParseChecksums(b []byte) (map[string]string, error) {
	var answer struct {
		Checksums map[string]string `json:"checksums"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("checksums of WordPress: %w", err)
	}
	if len(answer.Checksums) == 0 || len(answer.Checksums) > 20_000 {
		return nil, fmt.Errorf("checksums of WordPress: %d files", len(answer.Checksums))
	}
	return answer.Checksums, nil
}
