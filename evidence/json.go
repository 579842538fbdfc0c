package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting in every JSON text that comes from outside.
const maxDepth = 16

// CheckJSON refuses what Go's encoding/json lets pass and two readers could
// understand differently: duplicate keys, keys equal but for case, invalid
// UTF-8, unpaired surrogates, nesting over 16 and trailing data.
func CheckJSON(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("not valid UTF-8")
	}
	if !json.Valid(b) {
		var discard json.RawMessage
		return fmt.Errorf("not one JSON value: %w", json.Unmarshal(b, &discard))
	}
	if at := loneSurrogate(b); at >= 0 {
		return fmt.Errorf("unpaired surrogate escape at byte %d", at)
	}
	return checkKeys(b)
}

// checkKeys walks valid JSON once. Each open object holds the keys that it has
// shown so far; an array holds nil.
func checkKeys(b []byte) error {
	var open []map[string]bool
	keyNext := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if len(open) == maxDepth {
				return fmt.Errorf("nesting over %d at byte %d", maxDepth, i)
			}
			var keys map[string]bool
			if keyNext = b[i] == '{'; keyNext {
				keys = map[string]bool{}
			}
			open = append(open, keys)
		case '}', ']':
			open = open[:len(open)-1]
			keyNext = false
		case ',':
			keyNext = open[len(open)-1] != nil
		case '"':
			end := stringEnd(b, i)
			if keyNext {
				key, err := foldedKey(b[i:end])
				if err != nil {
					return err
				}
				keys := open[len(open)-1]
				if keys[key] {
					return fmt.Errorf("key %s appears twice (or differs in case only) at byte %d", b[i:end], i)
				}
				keys[key], keyNext = true, false
			}
			i = end - 1
		}
	}
	return nil
}

// stringEnd is the offset after the closing quote of the string that starts at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// foldedKey maps every key that encoding/json could take for the same field to
// one spelling; ſ (U+017F) and K (U+212A) fold to s and k there.
func foldedKey(quoted []byte) (string, error) {
	key := string(quoted[1 : len(quoted)-1])
	if bytes.IndexByte(quoted, '\\') >= 0 {
		if err := json.Unmarshal(quoted, &key); err != nil {
			return "", err
		}
	}
	key = strings.ToLower(key)
	if strings.ContainsAny(key, "ſK") {
		key = strings.ReplaceAll(strings.ReplaceAll(key, "ſ", "s"), "K", "k")
	}
	return key, nil
}

// loneSurrogate returns the offset of a \uD800 to \uDFFF escape without its
// partner, or -1.
func loneSurrogate(b []byte) int {
	for i := 0; i+1 < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if b[i+1] != 'u' {
			i++
			continue
		}
		switch hi := surrogate(b[i:]); hi {
		case 'h':
			if surrogate(b[min(i+6, len(b)):]) != 'l' {
				return i
			}
			i += 11
		case 'l':
			return i
		default:
			i += 5
		}
	}
	return -1
}

// surrogate tells whether b starts with the escape of a high ('h') or a low
// ('l') surrogate.
func surrogate(b []byte) byte {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' || (b[2] != 'd' && b[2] != 'D') {
		return 0
	}
	switch b[3] {
	case '8', '9', 'a', 'b', 'A', 'B':
		return 'h'
	case 'c', 'd', 'e', 'f', 'C', 'D', 'E', 'F':
		return 'l'
	}
	return 0
}

// unmarshalStrict checks b with CheckJSON and decodes it; a field that v does
// not have is an error.
func unmarshalStrict(b []byte, v any) error {
	if err := CheckJSON(b); err != nil {
		return err
	}
	return decodeKnown(b, v)
}

// decodeKnown decodes JSON that CheckJSON has passed and refuses fields that v
// does not have.
func decodeKnown(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// unmarshalExact decodes b and requires that encoding v again gives the same
// bytes: one meaning has one spelling.
func unmarshalExact(b []byte, v any) error {
	if err := unmarshalStrict(b, v); err != nil {
		return err
	}
	again, err := marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return errors.New("not in the one permitted spelling (key order, white space, escapes or base64)")
	}
	return nil
}

// marshal is json.Marshal without the escaping of <, > and &.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// DecodeBase64 accepts only the padded standard encoding with zero trailing
// bits and no line breaks.
func DecodeBase64[T string | []byte](s T) ([]byte, error) {
	b := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := strictBase64.Decode(b, []byte(s))
	if err != nil {
		return nil, fmt.Errorf("base64: %w", err)
	}
	if base64.StdEncoding.EncodedLen(n) != len(s) { // the decoder passes over line breaks
		return nil, errors.New("base64: not the one permitted spelling")
	}
	return b[:n], nil
}

var strictBase64 = base64.StdEncoding.Strict()
