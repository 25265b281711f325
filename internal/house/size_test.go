package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The standard for hand-written code that is no test. Data tables do not count
// as functions.
const (
	fileMedian, fileP95, fileMax = 150, 400, 700
	funcMedian, funcP95, funcMax = 12, 50, 90
)

type measured struct {
	where string
	lines int
}

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	var files, funcs []measured
	walkGo(t, func(path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testkit") || strings.HasPrefix(path, "bench") {
			return
		}
		files = append(files, measured{path, bytes.Count(text, []byte("\n"))})
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name != "params" {
				n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
				funcs = append(funcs, measured{path + ":" + fn.Name.Name, n})
			}
		}
	})
	check(t, "file", files, fileMedian, fileP95, fileMax)
	check(t, "function", funcs, funcMedian, funcP95, funcMax)
}

func check(t *testing.T, what string, all []measured, median, p95, most int) {
	t.Helper()
	slices.SortFunc(all, func(a, b measured) int { return a.lines - b.lines })
	m, p, x := all[len(all)/2].lines, all[len(all)*95/100].lines, all[len(all)-1].lines
	t.Logf("%s: %d of them, lines median %d (%d), p95 %d (%d), max %d (%d)", what, len(all), m, median, p, p95, x, most)
	if m > median || p > p95 {
		t.Errorf("%ss have grown: median %d, p95 %d", what, m, p)
	}
	for _, one := range all {
		if one.lines > most {
			t.Errorf("%s: %d lines, at most %d", one.where, one.lines, most)
		}
	}
}

// TestEveryPackageHasAManualPage wants a doc.go, or for a small package a
// comment above its only file.
func TestEveryPackageHasAManualPage(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, p := range ourPackages(t) {
		dir := filepath.Join(root, p.ImportPath)
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		production := slices.DeleteFunc(sources, func(s string) bool { return strings.HasSuffix(s, "_test.go") })
		if len(production) == 0 {
			continue
		}
		documented := false
		for _, s := range production {
			f, err := parser.ParseFile(token.NewFileSet(), s, nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || f.Doc != nil && len(strings.TrimSpace(f.Doc.Text())) > 80
		}
		if !documented {
			t.Errorf("%s has no package comment that says what it does", p.ImportPath)
		}
	}
}

// TestNoInitFunctions: what a package needs it is given.
func TestNoInitFunctions(t *testing.T) {
	walkGo(t, func(path string, text []byte) {
		if bytes.Contains(text, []byte("\nfunc init() {")) {
			t.Errorf("%s: init() is not used here", path)
		}
	})
}

// walkGo calls f with every hand-written Go file of the module.
func walkGo(t *testing.T, f func(path string, text []byte)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "node_modules" || name == "var" || name == "testdata" || len(name) > 1 && name[0] == '.' && name != ".." {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f(rel, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
