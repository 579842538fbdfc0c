package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
	"github.com/attesto/attesto/server/web"
)

// Each way to change something by the API asks for the one scope that its description
// names; a token with all the others is refused, and told why.
func TestScopes(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	tokens := map[string]string{}
	for _, scope := range store.Scopes() {
		others := slices.DeleteFunc(store.Scopes(), func(o string) bool { return o == scope })
		for name, may := range map[string][]string{scope: {scope}, "not " + scope: others} {
			var err error
			if tokens[name], err = s.srv.AddAPIToken(context.Background(), s.customer.ID, name, time.Hour, may...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.srv.AddAPIToken(context.Background(), s.customer.ID, "x", time.Hour, "everything"); err == nil || !strings.Contains(err.Error(), "review, state, manage") {
		t.Errorf("an unknown scope: %v", err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Security []struct{ Token []string }
		}
	}
	_, body := s.get(s.browser(), "/api/v1/openapi.json")
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, pattern := range web.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		if method != http.MethodPost || !strings.HasPrefix(path, "/api/") {
			continue
		}
		n++
		security := doc.Paths[path]["post"].Security
		if len(security) != 1 || len(security[0].Token) != 1 || !slices.Contains(store.Scopes(), security[0].Token[0]) {
			t.Errorf("%s: security %+v", pattern, security)
			continue
		}
		scope := security[0].Token[0]
		path = strings.NewReplacer("{org}", s.customer.ID, "{duty}", "PE-C1", "{workflow}", "export", "{service}", "pe").Replace(path)
		for name, refused := range map[string]bool{scope: false, "not " + scope: true} {
			res, body := s.send(s.browser(), method, path, nil, map[string]string{"Authorization": "Bearer " + tokens[name]})
			if (res.StatusCode == http.StatusForbidden && strings.Contains(body, `"scope"`)) != refused {
				t.Errorf("%s with scope %s: status %d, %s", pattern, name, res.StatusCode, body)
			}
		}
	}
	if n < 11 {
		t.Errorf("%d ways to change something", n)
	}
}
