package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

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

// What the API answers is what its description says: no field stands beside a list, or
// within it, that the description leaves out, and none that it promises is missing.
func TestOpenAPIDescribesEveryAnswer(t *testing.T) {
	s := seeded(newSite(t, storetest.SQLite(t)))
	token := s.apiToken(s.customer, true)
	var doc openapi
	s.api(token, "GET", "/openapi.json", &doc)
	filled := strings.NewReplacer("{org}", s.customer.ID, "{duty}", "SC-C5", "{service}", "sc", "{agent}", s.erp.id, "{index}", path("%d", s.erpIndex))
	asked := 0
	for _, pattern := range web.Patterns() {
		method, route, _ := strings.Cut(pattern, " ")
		at := filled.Replace(route)
		if method != "GET" || !strings.HasPrefix(route, "/api/v1/") || strings.HasSuffix(route, "openapi.json") || strings.Contains(at, "{") {
			continue
		}
		asked++
		var answer any
		if status := s.api(token, "GET", strings.TrimPrefix(at, "/api/v1"), &answer); status != http.StatusOK {
			t.Errorf("%s: status %d", route, status)
			continue
		}
		for _, fault := range doc.faults(doc.Paths[route]["get"].Responses["200"].Content["application/json"].Schema, answer, "answer") {
			t.Errorf("%s: %s", route, fault)
		}
	}
	if asked < 15 {
		t.Errorf("%d routes were asked", asked)
	}
}

// openapi is the description, as far as answers are held to it.
type openapi struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Required             []string
	Properties           map[string]schema
	AdditionalProperties *schema
	Items                *schema
}

// faults says what of an answer the description does not know.
func (o openapi) faults(s schema, answer any, place string) []string {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = o.Components.Schemas[name]
	}
	var list []string
	switch v := answer.(type) {
	case map[string]any:
		for _, key := range s.Required {
			if _, ok := v[key]; !ok {
				list = append(list, place+" lacks "+key)
			}
		}
		for key, inner := range v {
			of, known := s.Properties[key]
			if !known && s.AdditionalProperties != nil {
				of, known = *s.AdditionalProperties, true
			}
			switch {
			case known:
				list = append(list, o.faults(of, inner, place+"."+key)...)
			case s.Type != "" || s.Properties != nil:
				list = append(list, place+" has "+key+", which is not described")
			}
		}
	case []any:
		if s.Items == nil && s.Type != "" {
			return append(list, place+" is a list and described as "+s.Type)
		}
		for _, inner := range v {
			if s.Items != nil {
				list = append(list, o.faults(*s.Items, inner, place+"[]")...)
			}
		}
	default:
		if kind := map[string]string{"bool": "boolean", "float64": "number", "string": "string"}[fmt.Sprintf("%T", v)]; kind != "" && s.Type != "" && s.Type != kind && (kind != "number" || s.Type != "integer") {
			list = append(list, place+" is a "+kind+" and described as "+s.Type)
		}
	}
	return list
}

// Who knows the description alone can open each workflow, read each duty and state what
// can be stated: it lists what they are called.
func TestOpenAPISaysWhatThereIs(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	type field struct{ Enum []string }
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, Description string
				Schema            field
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]field }
		}
	}
	_, body := s.get(s.browser(), "/api/v1/openapi.json")
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	can := map[string][]string{}
	for path, ops := range doc.Paths {
		for _, op := range ops {
			for _, p := range op.Parameters {
				if can[p.Name] = p.Schema.Enum; p.Schema.Enum == nil && p.Description == "" {
					t.Errorf("%s: nothing says what %s is", path, p.Name)
				}
			}
		}
	}
	if len(can["duty"]) != 57 || len(can["workflow"]) != 6 || len(can["service"]) != 4 {
		t.Errorf("%d duties, workflows %v, services %v", len(can["duty"]), can["workflow"], can["service"])
	}
	token := s.apiToken(s.customer, true)
	for _, duty := range can["duty"] {
		if status := s.api(token, "GET", "/orgs/"+s.customer.ID+"/duties/"+duty, nil); status != http.StatusOK {
			t.Errorf("duty %s: status %d", duty, status)
		}
	}
	for _, kind := range doc.Components.Schemas["saying"].Properties["kind"].Enum {
		for _, result := range doc.Components.Schemas["saying"].Properties["result"].Enum {
			body := fmt.Sprintf(`{"kind":%q,"result":%q,"text":"t","until":%q}`, kind, result, s.now.AddDate(0, 0, 1).Format(time.DateOnly))
			if status, answer := s.posted(s.browser(), token, "/api/v1/orgs/"+s.customer.ID+"/duties/WH-C2/statement", "application/json", []byte(body)); status == http.StatusBadRequest {
				t.Errorf("%s: %s", body, answer)
			}
		}
	}
}
