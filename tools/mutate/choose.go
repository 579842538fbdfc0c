package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// chooser is the file that is added to the package: MUTANT names the fault that is put
// in, MUTANT_REACHED the file that gets a line per fault that a run comes by.
const chooser = `package %s

import (
	"os"
	"strconv"
	"sync"
)

var (
	mutant, _     = strconv.Atoi(os.Getenv("MUTANT"))
	mutantReached = os.Getenv("MUTANT_REACHED")
	mutantSeen    sync.Map
)

func mutantOn(id int) bool {
	if mutantReached != "" {
		if _, old := mutantSeen.LoadOrStore(id, true); !old {
			f, err := os.OpenFile(mutantReached, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				panic(err)
			}
			f.WriteString(strconv.Itoa(id) + "\n")
			f.Close()
		}
	}
	return mutant == id
}

type mutantWhole interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

type mutantNumber interface{ mutantWhole | ~float32 | ~float64 }

func mutantAdd[T mutantNumber](id int, x, y T) T { if mutantOn(id) { return x - y }; return x + y }
func mutantSub[T mutantNumber](id int, x, y T) T { if mutantOn(id) { return x + y }; return x - y }
func mutantMul[T mutantNumber](id int, x, y T) T { if mutantOn(id) { return x / y }; return x * y }
func mutantQuo[T mutantNumber](id int, x, y T) T { if mutantOn(id) { return x * y }; return x / y }
func mutantRem[T mutantWhole](id int, x, y T) T { if mutantOn(id) { return x * y }; return x %% y }
func mutantNeg[T mutantNumber](id int, x T) T { if mutantOn(id) { return x }; return -x }
func mutantStep[T mutantNumber](id int, x T) (one T) { one = 1; if mutantOn(id) { return -one }; return one }
`

var arithmetic = map[token.Token]string{
	token.ADD: "mutantAdd", token.SUB: "mutantSub", token.MUL: "mutantMul", token.QUO: "mutantQuo", token.REM: "mutantRem",
	token.ADD_ASSIGN: "mutantAdd", token.SUB_ASSIGN: "mutantSub", token.MUL_ASSIGN: "mutantMul", token.QUO_ASSIGN: "mutantQuo",
}

// rewritten is a file in which every fault can be chosen that does not stand alone.
func (s *source) rewritten() string { return s.inside(s.ast, 0, len(s.text)) }

// inside is the text between two offsets with the nodes below n rewritten.
func (s *source) inside(n ast.Node, from, to int) string {
	var out strings.Builder
	ast.Inspect(n, func(c ast.Node) bool {
		if c == nil || c == n {
			return true
		}
		if len(s.chosen(c)) == 0 {
			return true
		}
		start, end := s.offset(c.Pos()), s.offset(c.End())
		out.WriteString(s.text[from:start] + s.choice(c))
		from = end
		return false
	})
	return out.String() + s.text[from:to]
}

// chosen are the faults of a node that can be chosen.
func (s *source) chosen(n ast.Node) (list []*fault) {
	for _, f := range s.faults[n] {
		if !f.alone {
			list = append(list, f)
		}
	}
	return list
}

func (s *source) expr(n ast.Expr) string {
	if len(s.chosen(n)) > 0 {
		return s.choice(n)
	}
	return s.inside(n, s.offset(n.Pos()), s.offset(n.End()))
}

// choice is the text of a node with its faults to choose from.
func (s *source) choice(n ast.Node) string {
	faults := s.chosen(n)
	id := faults[0].id
	switch n := n.(type) {
	case *ast.UnaryExpr:
		return fmt.Sprintf("mutantNeg(%d, %s)", id, s.expr(n.X))
	case *ast.IncDecStmt:
		x := s.expr(n.X)
		return fmt.Sprintf("%s %s= mutantStep(%d, %s)", x, n.Tok.String()[:1], id, x)
	case *ast.AssignStmt:
		x := s.expr(n.Lhs[0])
		return fmt.Sprintf("%s = %s(%d, %s, %s)", x, arithmetic[n.Tok], id, x, s.expr(n.Rhs[0]))
	case *ast.BranchStmt:
		return fmt.Sprintf("{ if mutantOn(%d) { %s }; %s }", id, faults[0].to, n.Tok)
	case *ast.BinaryExpr:
		x, y := s.expr(n.X), s.expr(n.Y)
		if call := arithmetic[n.Op]; call != "" {
			return fmt.Sprintf("%s(%d, %s, %s)", call, id, x, y)
		}
		var on, off strings.Builder
		for _, f := range faults {
			fmt.Fprintf(&on, "mutantOn(%d) && (%s %s %s) || ", f.id, x, f.to, y)
			fmt.Fprintf(&off, "!mutantOn(%d) && ", f.id)
		}
		return fmt.Sprintf("(%s%s(%s %s %s))", on.String(), off.String(), x, n.Op, y)
	}
	panic(fmt.Sprintf("no choice for %T", n))
}
