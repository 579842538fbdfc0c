package web

import (
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"

	"github.com/attesto/attesto/server/store"
)

// operation is what the API's description says of a route, besides its path.
type operation struct {
	summary string
	query   []string // parameters of the query
	in      any      // what is sent, nil for nothing
	out     any      // what comes back, nil for nothing (204)
	list    string   // out comes as a list under this key
	status  int      // of success, where it is neither 200 nor 204
	scope   string   // that the token must have; reading needs none
}

// operations describe every route of the API; a test holds them to the routes.
var operations = map[string]operation{
	"GET /api/v1/orgs":                                  {summary: "The organisations that the token may see", out: orgAnswer{}, list: "orgs"},
	"GET /api/v1/orgs/{org}/duties":                     {summary: "The duties of a board as they stand", out: dutyAnswer{}, list: "duties"},
	"GET /api/v1/orgs/{org}/duties/{duty}":              {summary: "One duty with its parts and the records that it rests on", out: dutyAnswer{}},
	"GET /api/v1/orgs/{org}/duties/{duty}/days":         {summary: "A duty day by day", query: []string{"from", "to"}, out: dayAnswer{}, list: "days"},
	"GET /api/v1/orgs/{org}/duties/{duty}/continuity":   {summary: "How much of a period was proven, and why not the rest", query: []string{"from", "to"}, out: continuityAnswer{}},
	"GET /api/v1/orgs/{org}/state":                      {summary: "The board as it stood at a moment", query: []string{"at"}, out: stateAnswer{}},
	"POST /api/v1/orgs/{org}/duties/{duty}/review":      {scope: store.ScopeReview, summary: "Confirm having looked at a duty's results"},
	"GET /api/v1/orgs/{org}/records/{index}":            {summary: "One record of the log with its proofs", query: []string{"epoch"}, out: recordAnswer{}},
	"GET /api/v1/orgs/{org}/records/{index}/proof":      {summary: "A record as raw bytes with all that proves it", query: []string{"epoch"}, out: proofAnswer{}},
	"GET /api/v1/orgs/{org}/agents":                     {summary: "The hosts of an organisation", out: agentAnswer{}, list: "agents"},
	"GET /api/v1/orgs/{org}/agents/{agent}":             {summary: "One host, with what its facts count for", out: servesAnswer{}},
	"POST /api/v1/orgs/{org}/agents/{agent}/serves":     {scope: store.ScopeManage, summary: "Say what a host's facts count for", in: tagging{}},
	"GET /api/v1/orgs/{org}/services":                   {summary: "The services of an organisation, and who proves them", out: serviceAnswer{}, list: "services"},
	"GET /api/v1/orgs/{org}/activity":                   {summary: "Who did what, newest first", query: []string{"before"}, out: activityAnswer{}},
	"POST /api/v1/orgs/{org}/services":                  {scope: store.ScopeManage, summary: "Say what a customer has of the provider", in: tagging{}},
	"GET /api/v1/orgs/{org}/alerts":                     {summary: "Alerts, open ones first", out: alertAnswer{}, list: "alerts"},
	"GET /api/v1/orgs/{org}/alerts/{alert}":             {summary: "One alert, with who was told of it and how each attempt went", out: alertTold{}},
	"POST /api/v1/orgs/{org}/alerts/{alert}/ack":        {scope: store.ScopeReview, summary: "Take an alert on"},
	"GET /api/v1/orgs/{org}/silences":                   {summary: "The silences that hold", out: silenceAnswer{}, list: "silences"},
	"POST /api/v1/orgs/{org}/alerts/{alert}/silence":    {scope: store.ScopeState, summary: "Keep an alert's messages from the channels of its party for a while", in: silence{}, out: opened{}, status: http.StatusCreated},
	"POST /api/v1/orgs/{org}/agents/{agent}/silence":    {scope: store.ScopeState, summary: "Keep the messages of all that a host raises from the channels of its party for a while", in: silence{}, out: opened{}, status: http.StatusCreated},
	"POST /api/v1/orgs/{org}/silences/{silence}/end":    {scope: store.ScopeState, summary: "End a silence before its time"},
	"POST /api/v1/orgs/{org}/duties/{duty}/statement":   {scope: store.ScopeState, summary: "State that a duty is met, does not apply, or is looked after by its alerts", in: saying{}},
	"GET /api/v1/orgs/{org}/digest/{service}":           {summary: "What an organisation has to look at in a service", out: digestAnswer{}},
	"POST /api/v1/orgs/{org}/digest/{service}":          {scope: store.ScopeReview, summary: "Confirm having looked at a digest", in: sealing{}},
	"GET /api/v1/orgs/{org}/need":                       {summary: "What the customer declared to be backed up", out: needAnswer{}},
	"POST /api/v1/orgs/{org}/need":                      {scope: store.ScopeState, summary: "Declare what must be backed up", in: needing{}},
	"GET /api/v1/orgs/{org}/restores":                   {summary: "Restore tests that people tried", out: restoreAnswer{}, list: "restores"},
	"POST /api/v1/orgs/{org}/restores":                  {scope: store.ScopeState, summary: "Record a restore test", in: saying{}},
	"POST /api/v1/orgs/{org}/restores/{test}/cosign":    {scope: store.ScopeState, summary: "Sign a restore test as the provider", in: saying{}},
	"GET /api/v1/orgs/{org}/cases":                      {summary: "What happens between the parties", query: []string{"show", "workflow", "q", "page"}, out: casesAnswer{}},
	"GET /api/v1/orgs/{org}/cases/{case}":               {summary: "One case", out: caseAnswer{}},
	"POST /api/v1/orgs/{org}/workflows/{workflow}":      {scope: store.ScopeState, summary: "Open a case", in: saying{}, out: opened{}, status: http.StatusCreated},
	"POST /api/v1/orgs/{org}/cases/{case}/steps/{step}": {scope: store.ScopeState, summary: "Take the step that a case waits for, or withdraw it", in: saying{}},
	"GET /api/v1/openapi.json":                          {summary: "This description", out: map[string]any{}},
}

// opened is the answer to a case that was opened.
type opened struct {
	ID string `json:"id"`
}

// failure is every answer that is not what was asked for.
type failure struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Cure    string `json:"cure"`
		Detail  string `json:"detail,omitempty"`
	} `json:"error"`
}

// openAPI describes the API (OpenAPI 3.1, spec.openapis.org) from the routes and the
// types that they speak.
func openAPI(c *duties.Catalogue) map[string]any {
	s, one := schemas{}, choices(c)
	paths := map[string]map[string]any{}
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		op, ok := operations[rt.pattern]
		if !ok {
			continue
		}
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(method)] = s.operation(path, op, one)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Attesto", "version": "1", "description": "docs/api.md says what each field is."},
		"paths":   paths,
		"components": map[string]any{"schemas": s,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}}},
		"security": []any{map[string]any{"token": []string{}}},
	}
}

// meant says what a name in a path or a query stands for.
var meant = map[string]string{
	"org": "id of an organisation, as /api/v1/orgs lists them", "agent": "id of a host", "alert": "id of an alert", "silence": "id of a silence", "case": "id of a case", "test": "id of a restore test",
	"index": "place of an entry in the log", "epoch": "of the log, 1 without it", "step": "what the case waits for; withdraw ends it, pass opens a report of abuse with a customer",
	"from": "first day, such as 2026-06-01", "to": "last day, such as 2026-06-30", "at": "a moment, such as 2026-06-30T12:00:00Z, or a day as it ended", "before": "what the page before says under more",
	"q": "a part of the title", "page": "from 1",
}

// choices are the values that names in a path, in a query or in JSON can have.
func choices(c *duties.Catalogue) map[string][]string {
	one := map[string][]string{"service": c.Services(), "show": {"open", "ended"}}
	for _, d := range c.Duties() {
		one["duty"] = append(one["duty"], d.ID)
	}
	for _, f := range c.Workflows() {
		one["workflow"] = append(one["workflow"], f.ID)
	}
	return one
}

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

func (s schemas) operation(path string, op operation, one map[string][]string) map[string]any {
	params := []any{}
	param := func(name, in string, required bool) {
		schema := map[string]any{"type": "string"}
		if list := one[name]; list != nil {
			schema["enum"] = list
		}
		p := map[string]any{"name": name, "in": in, "required": required, "schema": schema}
		if text := meant[name]; text != "" {
			p["description"] = text
		}
		params = append(params, p)
	}
	for _, m := range wildcard.FindAllStringSubmatch(path, -1) {
		param(m[1], "path", true)
	}
	for _, q := range op.query {
		param(q, "query", false)
	}
	content := func(schema any) map[string]any {
		return map[string]any{"application/json": map[string]any{"schema": schema}}
	}
	answers := map[string]any{"default": map[string]any{"description": "What went wrong", "content": content(s.of(reflect.TypeFor[failure]()))}}
	if op.out == nil {
		answers["204"] = map[string]any{"description": "Done"}
	} else {
		schema, status := any(s.of(reflect.TypeOf(op.out))), "200"
		if op.list != "" {
			schema = map[string]any{"type": "object", "required": []string{op.list}, "properties": map[string]any{op.list: map[string]any{"type": "array", "items": schema}}}
		}
		if op.status == http.StatusCreated {
			status = "201"
		}
		answers[status] = map[string]any{"description": "Done", "content": content(schema)}
	}
	out := map[string]any{"summary": op.summary, "parameters": params, "responses": answers}
	if op.scope != "" {
		out["security"] = []any{map[string]any{"token": []string{op.scope}}}
	}
	if op.in != nil {
		out["requestBody"] = map[string]any{"required": true, "content": content(s.of(reflect.TypeOf(op.in)))}
	}
	return out
}

// schemas are the types that the description names.
type schemas map[string]any

var texts = reflect.TypeFor[encoding.TextMarshaler]()

// of is the schema of a type as its JSON looks.
func (s schemas) of(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[evidence.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t.Implements(texts):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" {
			return s.object(t)
		}
		if _, known := s[t.Name()]; !known {
			s[t.Name()] = nil // so that a type within itself ends
			s[t.Name()] = s.object(t)
		}
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	}
	return map[string]any{} // anything
}

func (s schemas) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "":
			if inner, ok := s.object(f.Type)["properties"].(map[string]any); ok {
				for k, v := range inner {
					properties[k] = v
				}
			}
		case name == "":
			properties[f.Name] = s.of(f.Type)
		default:
			properties[name] = described(s.of(f.Type), f.Tag)
		}
	}
	return map[string]any{"type": "object", "properties": properties}
}

// described adds to a field's schema what its tags say: the values that it can have, and
// what it is for.
func described(schema map[string]any, tag reflect.StructTag) map[string]any {
	if list := tag.Get("enum"); list != "" {
		schema["enum"] = strings.Split(list, ",")
	}
	if text := tag.Get("about"); text != "" {
		schema["description"] = text
	}
	return schema
}

// description hands out what the API is, to whoever asks: it names nobody.
func (w *Web) description(rw http.ResponseWriter, _ *http.Request) error {
	writeJSON(rw, http.StatusOK, w.openAPI)
	return nil
}

// Undescribed lists the routes of the API that its description leaves out, and what it
// describes that is no route; a test wants none.
func Undescribed() []string {
	var list []string
	known := map[string]bool{}
	for _, rt := range routes {
		known[rt.pattern] = true
		if _, path, _ := strings.Cut(rt.pattern, " "); strings.HasPrefix(path, "/api/") && operations[rt.pattern].summary == "" {
			list = append(list, rt.pattern)
		}
	}
	for pattern := range operations {
		if !known[pattern] {
			list = append(list, pattern)
		}
	}
	return list
}
