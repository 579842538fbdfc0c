package host

import "regexp"

// Removed stands where a secret was.
const Removed = "[removed]"

const secretKey = `(?:[\w.-]*(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|cookie|session(?:id)?))`

var (
	assigned = regexp.MustCompile(`(?i)(` + secretKey + `["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|<[^>]*>?|[^\s,;&]+)`)
	optioned = regexp.MustCompile(`(?i)(--?` + secretKey + `\s+)(\S+)`)
	// These take all that follows on the line: their ends cannot be told.
	wholeRest = regexp.MustCompile(`(?i)(\b(?:subject|(?:proxy-)?authorization|set-cookie)["']?\s*[:=]|\b(?:bearer|basic)\s|\bAUTH (?:PLAIN|LOGIN|XOAUTH2?)\b|(?-i:\bPASS\b)).*`)
	keyBlock  = regexp.MustCompile(`(?s)-----BEGIN.*?(?:-----END[^\n]*|$)`)
	userInfo  = regexp.MustCompile(`(\w+://)[^\s/@]+@`)
	keyword   = regexp.MustCompile(`\b(?:AKIA|ASIA|ghp_|gho_|glpat-|xox[abprs]-|sk-|eyJ)[\w.-]+`)
)

// WithoutSecrets takes out of a text what is written as a secret: values of keys such
// as password and token, credentials in addresses, keys, mail subjects. Programs say
// such things when they fail; nothing that they say may leave without it.
func WithoutSecrets(s string) string {
	s = keyBlock.ReplaceAllString(s, "-----BEGIN "+Removed)
	s = wholeRest.ReplaceAllString(s, "$1 "+Removed)
	s = userInfo.ReplaceAllString(s, "${1}"+Removed+"@")
	s = assigned.ReplaceAllStringFunc(s, func(found string) string {
		parts := assigned.FindStringSubmatch(found)
		if value := parts[2]; len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			return parts[1] + `"` + Removed + `"` // what was JSON still is
		}
		return parts[1] + Removed
	})
	s = optioned.ReplaceAllString(s, "${1}"+Removed)
	return keyword.ReplaceAllString(s, Removed)
}
