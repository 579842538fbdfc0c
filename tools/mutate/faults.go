package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// swaps are the faults, by what they take the place of.
var swaps = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN},
	token.MUL_ASSIGN: {token.QUO_ASSIGN}, token.QUO_ASSIGN: {token.MUL_ASSIGN},
	token.INC: {token.DEC}, token.DEC: {token.INC},
	token.CONTINUE: {token.BREAK}, token.BREAK: {token.CONTINUE},
}

// fault is one token in the place of another.
type fault struct {
	id       int
	file     string
	at       token.Position
	from, to string
	alone    bool // cannot be chosen while the program runs
	outcome  string
}

func (f *fault) where() string { return fmt.Sprintf("%s:%d:%d", f.file, f.at.Line, f.at.Column) }

// source is one file of the package.
type source struct {
	name   string
	text   string
	ast    *ast.File
	offset func(token.Pos) int
	faults map[ast.Node][]*fault
}

// pack is the package to be tried.
type pack struct {
	name    string
	sources []*source
	faults  []*fault
}

func read(dir string) (*pack, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	p := &pack{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, b, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		s := &source{name: filepath.Base(path), text: string(b), ast: file, faults: map[ast.Node][]*fault{},
			offset: func(at token.Pos) int { return set.Position(at).Offset }}
		p.name, p.sources = file.Name.Name, append(p.sources, s)
		p.find(s, file, set, false)
	}
	if len(p.faults) == 0 {
		return nil, fmt.Errorf("%s holds nothing to put a fault into", dir)
	}
	return p, nil
}

// find lists the faults below a node; those in constants stand alone.
func (p *pack) find(s *source, root ast.Node, set *token.FileSet, constant bool) {
	ast.Inspect(root, func(n ast.Node) bool {
		if decl, ok := n.(*ast.GenDecl); ok && n != root && (decl.Tok == token.CONST || decl.Tok == token.IMPORT) {
			p.find(s, n, set, true)
			return false
		}
		at, op, ok := operator(n)
		if !ok {
			return true
		}
		for _, to := range swaps[op] {
			f := &fault{id: len(p.faults) + 1, file: s.name, at: set.Position(at), from: op.String(), to: to.String(), alone: constant}
			p.faults, s.faults[n] = append(p.faults, f), append(s.faults[n], f)
		}
		return true
	})
}

// operator is what a node does, and where that is written.
func operator(n ast.Node) (token.Pos, token.Token, bool) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return n.OpPos, n.Op, true
	case *ast.UnaryExpr:
		return n.OpPos, n.Op, n.Op == token.SUB
	case *ast.IncDecStmt:
		return n.TokPos, n.Tok, true
	case *ast.AssignStmt:
		return n.TokPos, n.Tok, true
	case *ast.BranchStmt:
		return n.TokPos, n.Tok, n.Label == nil
	}
	return 0, 0, false
}

// line is the source line of a fault.
func (p *pack) line(f *fault) string {
	for _, s := range p.sources {
		if s.name == f.file {
			return strings.TrimSpace(strings.Split(s.text, "\n")[f.at.Line-1])
		}
	}
	return ""
}

// with is the text of the fault's file with the fault in it.
func (p *pack) with(f *fault) string {
	for _, s := range p.sources {
		if s.name == f.file {
			return s.text[:f.at.Offset] + f.to + s.text[f.at.Offset+len(f.from):]
		}
	}
	return ""
}
