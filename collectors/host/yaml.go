package host

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxKeys is more keys than a mapping of a configuration has. The decoder compares each
// with each, and keeps an error of every pair that is alike.
const maxKeys = 1000

// CheckKeys refuses a document in which a mapping has a key twice, or too many, before
// the decoder meets it: for a few kilobytes of one key it would need gigabytes.
func CheckKeys(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		if len(n.Content) > 2*maxKeys {
			return fmt.Errorf("line %d: %d keys in one mapping, at most %d may be", n.Line, len(n.Content)/2, maxKeys)
		}
		first := make(map[string]int, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if line, twice := first[key.Value]; twice {
				return fmt.Errorf("line %d: mapping key %q already defined at line %d", key.Line, key.Value, line)
			}
			first[key.Value] = key.Line
		}
	}
	for _, c := range n.Content {
		if err := CheckKeys(c); err != nil {
			return err
		}
	}
	return nil
}
