package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// The tables of a hypervisor and of restore tests say what the facts say.
func TestTablesOfFacts(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	w := seeded(s)
	c := s.signedIn(s.add(s.provider, store.RoleAdmin))
	for index, words := range map[int64][]string{
		w.nodeIndex:  {"hv2", "in maintenance", "cannot be reached", "93", "vm-101", "none", "template", "quorum"},
		w.vaultIndex: {"20 of 212,400 files", "12 identical to those of the host", "did not come back", "could not be tried", "different content", "no restore of a whole system"},
	} {
		res, body := s.get(c, fmt.Sprintf("/orgs/%s/records/%d", s.provider.ID, index))
		if res.StatusCode != http.StatusOK {
			t.Fatalf("record %d: %s", index, res.Status)
		}
		for _, word := range words {
			if !strings.Contains(body, word) {
				t.Errorf("record %d: no %q in it", index, word)
			}
		}
	}
}
