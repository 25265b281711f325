package transcript

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Text is something that the code of a package may say to a client.
type Text struct {
	// Pattern has * for what is put in when it is said.
	Pattern string
	// Where is the file and the line that says it.
	Where string
}

// Says tells where in the source the texts for a client are.
type Says struct {
	// Calls are the names of functions and methods with the place of the argument
	// that is such a text.
	Calls map[string]int
	// Fields are the fields of composite literals that have one, as "type.field".
	Fields []string
	// Literals are types of composite literals without field names, with the place of
	// the text in one.
	Literals map[string]int
	// Rows are variables whose rows are literals without field names, with the
	// place of the text in a row.
	Rows map[string]int
}

// Texts reads the texts of the package in dir out of its source, tests apart. A
// value that is no constant in the source is not found.
func (s Says) Texts(t *testing.T, dir string) []Text {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var found []Text
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			for _, e := range s.texts(n) {
				// What is written is a line, with its end.
				if p := strings.TrimSuffix(pattern(e), "\r\n"); strings.Trim(p, "* ") != "" {
					at := set.Position(e.Pos())
					found = append(found, Text{p, fmt.Sprintf("%s:%d", filepath.Base(at.Filename), at.Line)})
				}
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatalf("%s: no text was found: the names in Says are not those of the code", dir)
	}
	return found
}

// texts are the expressions of a node that are for a client.
func (s Says) texts(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CallExpr:
		at, ok := s.Calls[calledName(n.Fun)]
		if ok && at < len(n.Args) {
			return []ast.Expr{n.Args[at]}
		}
	case *ast.CompositeLit:
		var out []ast.Expr
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && slices.Contains(s.Fields, calledName(n.Type)+"."+calledName(kv.Key)) {
				out = append(out, kv.Value)
			}
		}
		if at, ok := s.Literals[calledName(n.Type)]; ok && at < len(n.Elts) {
			if _, keyed := n.Elts[at].(*ast.KeyValueExpr); !keyed {
				out = append(out, n.Elts[at])
			}
		}
		return out
	case *ast.ValueSpec:
		return s.rows(n)
	}
	return nil
}

func (s Says) rows(n *ast.ValueSpec) (out []ast.Expr) {
	for i, name := range n.Names {
		at, ok := s.Rows[name.Name]
		if !ok || i >= len(n.Values) {
			continue
		}
		if table, ok := n.Values[i].(*ast.CompositeLit); ok {
			for _, row := range table.Elts {
				if r, ok := row.(*ast.CompositeLit); ok && at < len(r.Elts) {
					out = append(out, r.Elts[at])
				}
			}
		}
	}
	return out
}

func calledName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.StarExpr:
		return calledName(e.X)
	}
	return ""
}

// formatVerb is what Sprintf puts something in for.
var formatVerb = regexp.MustCompile(`%[-+# 0]*[0-9.]*[a-zA-Z]`)

// pattern is what an expression says, with * for what is not known.
func pattern(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return formatVerb.ReplaceAllString(s, "*")
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return pattern(e.X) + pattern(e.Y)
		}
	case *ast.CallExpr:
		if calledName(e.Fun) == "Sprintf" && len(e.Args) > 0 {
			return pattern(e.Args[0])
		}
	case *ast.ParenExpr:
		return pattern(e.X)
	}
	return "*"
}

// Spoken are the dialogues of folders, read for what they have in them.
type Spoken struct{ client, server []string }

// Read reads all dialogues in folders.
func Read(t *testing.T, dirs ...string) *Spoken {
	t.Helper()
	s := &Spoken{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no dialogues in %s (%v)", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s.read(string(text))
		}
	}
	return s
}

func (s *Spoken) read(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if len(line) > 3 && '2' <= line[1] && line[1] <= '9' {
			line = line[:1] + line[2:] // of another connection
		}
		if rest, ok := strings.CutPrefix(line, "S: "); ok {
			s.server = append(s.server, rest)
		} else if rest, ok := strings.CutPrefix(line, "C: "); ok {
			s.client = append(s.client, rest)
		} else if rest, ok := strings.CutPrefix(line, "C> "); ok {
			s.client = append(s.client, rest)
		}
	}
}

// Elsewhere are texts that no dialogue can bring about, with the name of the test
// that shows them.
type Elsewhere map[string]string

// Missing lists the texts that no server line has. A line that has * where the text
// has words does not count: it would be true of any other text, too.
func (s *Spoken) Missing(texts []Text, tag string) []string {
	var out []string
	for _, text := range texts {
		if !slices.ContainsFunc(s.server, func(line string) bool { return says(line, tag+text.Pattern) }) {
			out = append(out, fmt.Sprintf("%s: no dialogue has the server say %q", text.Where, text.Pattern))
		}
	}
	return out
}

// says tells whether a line ends with a text.
func says(line, pattern string) bool {
	var re strings.Builder
	for i, part := range strings.Split(pattern, "*") {
		if i > 0 {
			re.WriteString(".*")
		}
		re.WriteString(regexp.QuoteMeta(part))
	}
	ok, err := regexp.MatchString(`(^|[ \]-])`+re.String()+`$`, line)
	return err == nil && ok
}

// Check fails for each text that neither a dialogue nor another test has. dir is the
// package of the other tests.
func (s *Spoken) Check(t *testing.T, dir string, texts []Text, other Elsewhere) {
	t.Helper()
	known := tests(t, dir)
	said := map[string]bool{}
	for _, text := range texts {
		said[text.Pattern] = true
		missing := s.Missing([]Text{text}, "")
		name, elsewhere := other[text.Pattern]
		switch {
		case elsewhere && len(missing) == 0:
			t.Errorf("%q is in a dialogue: it needs no row that says where else", text.Pattern)
		case elsewhere && !known[name]:
			t.Errorf("%q should be shown by %s, which there is not", text.Pattern, name)
		case !elsewhere && len(missing) > 0:
			t.Error(missing[0])
		}
	}
	for text := range other {
		if !said[text] {
			t.Errorf("a row for %q, which nothing says", text)
		}
	}
}

// tests are the names of the tests in a package.
func tests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	re := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range re.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
	}
	return names
}

// Verbs fails for each verb that no client line has. tagged says that commands begin
// with a tag.
func (s *Spoken) Verbs(t *testing.T, verbs []string, tagged bool) {
	t.Helper()
	for _, verb := range verbs {
		if !slices.ContainsFunc(s.client, func(line string) bool { return commands(line, verb, tagged) }) {
			t.Errorf("no dialogue has the client say %s", verb)
		}
	}
}

func commands(line, verb string, tagged bool) bool {
	if tagged {
		_, line, _ = strings.Cut(line, " ")
	}
	line = strings.ToUpper(line)
	rest, ok := strings.CutPrefix(line, strings.ToUpper(verb))
	return ok && (rest == "" || strings.ContainsAny(rest[:1], " :\\"))
}

// Codes are the reply codes at the start of the server's lines, as "250".
func (s *Spoken) Codes() []string {
	re := regexp.MustCompile(`^[245][0-9][0-9]\b`)
	var out []string
	for _, line := range s.server {
		if code := re.FindString(line); code != "" && !slices.Contains(out, code) {
			out = append(out, code)
		}
	}
	slices.Sort(out)
	return out
}
