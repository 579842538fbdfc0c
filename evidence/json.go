package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	if at := loneSurrogate(b); at >= 0 {
		return fmt.Errorf("unpaired surrogate escape at byte %d", at)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := walk(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("data after the value, at byte %d", dec.InputOffset())
	}
	return nil
}

func walk(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > maxDepth {
		return fmt.Errorf("nesting over %d at byte %d", maxDepth, dec.InputOffset())
	}
	keys := map[string]bool{}
	for dec.More() {
		if open == '{' {
			tok, err := dec.Token()
			if err != nil {
				return err
			}
			key, _ := tok.(string)
			folded := foldKey(key)
			if keys[folded] {
				return fmt.Errorf("key %q appears twice (or differs in case only) before byte %d", key, dec.InputOffset())
			}
			keys[folded] = true
		}
		if err := walk(dec, depth); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// foldKey maps every key that encoding/json could take for the same field to
// one spelling; ſ (U+017F) and K (U+212A) fold to s and k there.
func foldKey(s string) string {
	return strings.NewReplacer("ſ", "s", "K", "k").Replace(strings.ToLower(s))
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

// decodeBase64 accepts only the padded standard encoding with zero trailing
// bits and no line breaks.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("base64: %w", err)
	}
	if base64.StdEncoding.EncodeToString(b) != s {
		return nil, errors.New("base64: not the one permitted spelling")
	}
	return b, nil
}
