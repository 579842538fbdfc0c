package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/store/storetest"
	"github.com/attesto/attesto/server/web"
)

// The API describes itself: every route, each with what it takes and gives, and every
// type that the description names stands in it.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	for _, pattern := range web.Undescribed() {
		t.Errorf("%s: route and description do not agree", pattern)
	}
	s := newSite(t, storetest.SQLite(t))
	res, body := s.get(s.browser(), "/api/v1/openapi.json")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]struct{ Responses map[string]any }
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, pattern := range web.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		n++
		if op, ok := doc.Paths[path][strings.ToLower(method)]; !ok || len(op.Responses) < 2 {
			t.Errorf("%s: %+v", pattern, op)
		}
	}
	if n == 0 || doc.OpenAPI != "3.1.0" {
		t.Errorf("%d routes, version %q", n, doc.OpenAPI)
	}
	for _, ref := range strings.Split(body, "#/components/schemas/")[1:] {
		if name, _, _ := strings.Cut(ref, "\""); doc.Components.Schemas[name] == nil {
			t.Errorf("type %s is named and not described", name)
		}
	}
}
