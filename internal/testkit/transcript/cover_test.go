package transcript

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.go", `package a
var rows = []row{{1, "in a row"}, {2, "another"}}
var e = &refusal{kind: "NO", text: "by a field"}
func f(w string) error {
	_ = fmt.Sprintf("not this one")
	_ = no("CODE", "second " + w + " end")
	_ = dsn.Newf(x, "format %s of %-3d.", w, 1)
	_ = bad(w)
	_ = reply{"CODE", "by its place"}
	_ = reply{code: "CODE"}
	write("* a line\r\n")
	return bad("plain")
}
`)
	write("a_test.go", "package a\nfunc TestOther(t *testing.T) { bad(\"of a test\") }\n")
	s := Says{Calls: map[string]int{"bad": 0, "no": 1, "Newf": 1, "write": 0}, Literals: map[string]int{"reply": 1}, Fields: []string{"refusal.text"}, Rows: map[string]int{"rows": 1}}
	var got []string
	for _, x := range s.Texts(t, dir) {
		got = append(got, x.Pattern+" "+x.Where)
	}
	slices.Sort(got)
	want := []string{"* a line a.go:11", "another a.go:2", "by a field a.go:3", "by its place a.go:9", "format * of *. a.go:7", "in a row a.go:2", "plain a.go:12", "second * end a.go:6"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if !tests(t, dir)["TestOther"] || tests(t, dir)["TestThird"] {
		t.Error("the tests of the package were not found")
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	s := &Spoken{}
	s.read("# x\nS: a NO [X] Second w end\nS: b BAD *\nS: 501 5.5.4 Syntax: HELO\nC: c noop\nC: d UID FETCH 1\nC> e STARTTLS\\r\\n\nS: 250-x\n")
	for text, want := range map[string]bool{
		"Second * end": false, "Second": true, "nd w end": true, "Plain": true, "Syntax: *": false, "Syntax: EHLO": true,
	} {
		if got := len(s.Missing([]Text{{Pattern: text, Where: "x"}}, "")) == 1; got != want {
			t.Errorf("%q missing: %v", text, got)
		}
	}
	for verb, want := range map[string]bool{"NOOP": true, "UID FETCH": true, "FETCH": false, "NOO": false, "STARTTLS": true} {
		got := slices.ContainsFunc(s.client, func(l string) bool { return commands(l, verb, true) })
		if got != want {
			t.Errorf("%s: %v", verb, got)
		}
	}
	if got := strings.Join(s.Codes(), " "); got != "250 501" {
		t.Errorf("codes %s", got)
	}
}
