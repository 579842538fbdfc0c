package evidence

import (
	"reflect"
	"testing"
)

// Whatever the quick way takes, the careful way must take too, and the same.
func FuzzCutEnvelope(f *testing.F) {
	f.Add([]byte(`{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"SHA256:x","sig":"AAAA"}]}`))
	f.Add([]byte(`{"payload":"","payloadType":"","signatures":[{"keyid":"","sig":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		quick, ok := cutEnvelope(b)
		if !ok {
			return
		}
		careful, err := decodeEnvelope(b)
		if err != nil || !reflect.DeepEqual(quick, careful) {
			t.Fatalf("%q: %+v by the quick way, %+v (%v) by the careful one", b, quick, careful, err)
		}
	})
}
