package duties

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/attesto/attesto/evidence"
)

// The bounds of a rule: its text in bytes, and what one evaluation may cost in the
// units of CEL, about one per step.
const (
	maxRule     = 4000
	maxRuleCost = 1_000_000
)

// rule is an operator's own check: an expression of CEL (cel.dev) over the facts of a
// host, which is true where the duty is met.
type rule struct {
	program cel.Program
	kind    evidence.Kind
	name    string
}

// newRule compiles an expression over facts of a kind and parameters. Its types are
// checked here; an error of its own text is a ruleError.
func newRule(name, text string, kind evidence.Kind, params map[string]Param) (rule, error) {
	zero, _, _ := evidence.ReadFacts(kind, nil)
	if zero == nil {
		var kinds []string
		for _, k := range evidence.FactsKinds() {
			kinds = append(kinds, string(k))
		}
		return rule{}, kindError{noSuch("kind", string(kind), kinds)}
	}
	if strings.TrimSpace(text) == "" {
		return rule{}, missing("it is missing: an expression that is true where the duty is met")
	}
	if len(text) > maxRule {
		return rule{}, fmt.Errorf("rule of %d bytes: want at most %d", len(text), maxRule)
	}
	registry, err := types.NewRegistry()
	if err != nil {
		return rule{}, fmt.Errorf("preparing rules: %w", err)
	}
	shapes := shapes{Registry: registry, fields: map[string]map[string]*types.FieldType{"params": {}}}
	for p := range params {
		shapes.fields["params"][p] = field(p, cel.DoubleType)
	}
	facts := shapes.of(reflect.TypeOf(zero))
	env, err := cel.NewEnv(cel.CustomTypeProvider(shapes), cel.CrossTypeNumericComparisons(true), ext.Strings(),
		cel.Variable("facts", facts), cel.Variable("params", cel.ObjectType("params")), cel.Variable("now", cel.TimestampType))
	if err != nil {
		return rule{}, fmt.Errorf("preparing rules: %w", err)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return rule{}, ruleError{first.Location.Line(), first.Location.Column() + 1, first.Message, shapes.names(facts.TypeName())}
	}
	if ast.OutputType() != cel.BoolType {
		return rule{}, ruleError{1, 1, fmt.Sprintf("it is a %s and must be true or false", ast.OutputType()), shapes.names(facts.TypeName())}
	}
	program, err := env.Program(ast, cel.CostLimit(maxRuleCost))
	return rule{program, kind, name}, err
}

// kindError is the fault of a kind that there is not.
type kindError struct{ error }

// ruleError says where in a rule's text something is wrong.
type ruleError struct {
	line, column int // from 1
	what         string
	fields       []string // of the facts
}

func (e ruleError) Error() string {
	return fmt.Sprintf("column %d: %s; facts have the fields %s", e.column, e.what, strings.Join(e.fields, ", "))
}

// judge applies the rule to a host's newest look. What it did not answer, because a
// field is absent or it costs too much, is unproven, and so is a good answer over
// facts with gaps.
func (r rule) judge(h host) []AssetFinding {
	facts, gaps, err := evidence.ReadFacts(r.kind, h.newest().Blob)
	if err != nil {
		return h.unreadable(err)
	}
	params := map[string]any{}
	for name := range h.params {
		params[name] = h.number(name)
	}
	out, _, err := r.program.Eval(map[string]any{"facts": plain(reflect.ValueOf(facts)), "params": params, "now": h.at})
	met, answered := false, false
	if err == nil {
		met, answered = out.Value().(bool)
	}
	args := []any{"host", h.agent.Name, "at", h.clock(h.moment(h.newest()))}
	switch {
	case !answered:
		return []AssetFinding{h.find(Unproven, "", say("rule_failed", "host", h.agent.Name, "rule", r.name, "error", errors.Join(err, errNoAnswer[err == nil])))}
	case !met:
		return []AssetFinding{h.find(Breached, "", say(ownKey(r.name, "bad"), args...))}
	case len(gaps) > 0:
		return []AssetFinding{h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps)))}
	}
	return []AssetFinding{h.find(Fulfilled, "", say(ownKey(r.name, "good"), args...))}
}

var errNoAnswer = map[bool]error{true: errors.New("the rule is neither true nor false")}

// ownKey is the key of an own check's message.
func ownKey(check, which string) string { return "own_" + check + "_" + which }

// shapes tells CEL which fields facts have: those of their JSON.
type shapes struct {
	*types.Registry
	fields map[string]map[string]*types.FieldType
}

// FindStructType finds facts, or a part of them, by name.
func (s shapes) FindStructType(name string) (*types.Type, bool) {
	if _, ok := s.fields[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return s.Registry.FindStructType(name)
}

// FindStructFieldNames lists the fields of one.
func (s shapes) FindStructFieldNames(name string) ([]string, bool) {
	if _, ok := s.fields[name]; ok {
		return s.names(name), true
	}
	return s.Registry.FindStructFieldNames(name)
}

// FindStructFieldType finds a field of one.
func (s shapes) FindStructFieldType(name, of string) (*types.FieldType, bool) {
	if fields, ok := s.fields[name]; ok {
		f, ok := fields[of]
		return f, ok
	}
	return s.Registry.FindStructFieldType(name, of)
}

func (s shapes) names(name string) []string {
	var list []string
	for n := range s.fields[name] {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// RuleFields lists what rules over facts of a kind can read, a line each: the path, []
// for each of a list, and the type.
func RuleFields(kind evidence.Kind) ([]string, error) {
	zero, _, _ := evidence.ReadFacts(kind, nil)
	if zero == nil {
		return nil, fmt.Errorf("kind %q: want one of %v", kind, evidence.FactsKinds())
	}
	s := shapes{fields: map[string]map[string]*types.FieldType{}}
	return s.lines("facts", s.of(reflect.TypeOf(zero))), nil
}

func (s shapes) lines(path string, t *types.Type) []string {
	if t.Kind() == types.ListKind {
		return s.lines(path+"[]", t.Parameters()[0])
	}
	names := s.names(t.TypeName())
	if len(names) == 0 {
		return []string{path + " " + t.String()}
	}
	var list []string
	for _, n := range names {
		list = append(list, s.lines(path+"."+n, s.fields[t.TypeName()][n].Type)...)
	}
	return list
}

// field is a field of what plain makes.
func field(name string, t *types.Type) *types.FieldType {
	return &types.FieldType{Type: t,
		IsSet: func(of any) bool {
			m, ok := of.(map[string]any)
			_, there := m[name]
			return ok && there
		},
		GetFrom: func(of any) (any, error) {
			m, ok := of.(map[string]any)
			if v, there := m[name]; ok && there {
				return v, nil
			}
			return nil, fmt.Errorf("%s is absent here; ask has(….%s) first", name, name)
		}}
}

var (
	timeType = reflect.TypeFor[time.Time]()
	ourTime  = reflect.TypeFor[evidence.Time]()
	texts    = reflect.TypeFor[encoding.TextMarshaler]()
)

// of is the type of CEL for a type of Go, with the names that its JSON has.
func (s shapes) of(t reflect.Type) *types.Type {
	switch {
	case t == timeType || t == ourTime:
		return cel.TimestampType
	case t.Kind() != reflect.Pointer && t.Implements(texts):
		return cel.StringType
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Bool:
		return cel.BoolType
	case reflect.String:
		return cel.StringType
	case reflect.Float32, reflect.Float64:
		return cel.DoubleType
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint, reflect.Uint64:
		return cel.IntType
	case reflect.Slice, reflect.Array:
		return cel.ListType(s.of(t.Elem()))
	case reflect.Map:
		return cel.MapType(cel.StringType, s.of(t.Elem()))
	case reflect.Struct:
		if _, known := s.fields[t.Name()]; !known {
			s.fields[t.Name()] = map[string]*types.FieldType{}
			for _, f := range jsonFields(t) {
				s.fields[t.Name()][f.name] = field(f.name, s.of(f.Type))
			}
		}
		return cel.ObjectType(t.Name())
	}
	return cel.DynType
}

type jsonField struct {
	reflect.StructField
	name string
}

func jsonFields(t reflect.Type) []jsonField {
	var list []jsonField
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "-" {
			if name == "" {
				name = f.Name
			}
			list = append(list, jsonField{f, name})
		}
	}
	return list
}

// plain is a value of Go as CEL takes it; pointers to nothing are left out.
func plain(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	}
	switch x := v.Interface().(type) {
	case evidence.Time:
		return x.Time
	case time.Time:
		return x
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(b)
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(min(v.Uint(), 1<<62))
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Map:
		m := map[string]any{}
		for _, k := range v.MapKeys() {
			m[fmt.Sprint(k.Interface())] = plain(v.MapIndex(k))
		}
		return m
	case reflect.Struct:
		m := map[string]any{}
		for _, f := range jsonFields(v.Type()) {
			if got := plain(v.FieldByIndex(f.Index)); got != nil {
				m[f.name] = got
			}
		}
		return m
	}
	return nil
}
