package host_test

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/host"
)

func TestCheckKeys(t *testing.T) {
	var many strings.Builder
	for i := range 1001 {
		many.WriteString(strings.Repeat("k", i+1) + ":\n")
	}
	for _, tt := range []struct{ name, text, want string }{
		{"whole", "a: 1\nb: {a: 2}\nc: [{a: 1}, {a: 2}]\n", ""},
		{"empty", "", ""},
		{"twice", "a:\n  b: 1\n  c: 2\n  b: 3\n", `line 4: mapping key "b" already defined at line 2`},
		{"twice in a list", "- {a: 1}\n- {a: 1, a: 2}\n", "already defined at line 2"},
		{"many", many.String(), "line 1: 1001 keys in one mapping, at most 1000"},
	} {
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(tt.text), &root); err != nil {
			t.Fatal(err)
		}
		if err := host.CheckKeys(&root); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
