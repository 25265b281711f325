package configs

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// debianPostfix is what postconf -d of Debian's Postfix lists.
func debianPostfix(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command(peers.Need(t, "postconf", "postfix"), "-d").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(line, " =")
		names = append(names, strings.TrimSpace(name))
	}
	if len(names) < 900 {
		t.Fatalf("only %d parameters", len(names))
	}
	return names
}

// TestEachParameterOfPostfix: of each parameter that Debian's postconf lists there is an
// answer, by name, and no answer is about one that it does not list.
func TestEachParameterOfPostfix(t *testing.T) {
	t.Parallel()
	ours, err := PostfixParams()
	if err != nil {
		t.Fatal(err)
	}
	theirs := debianPostfix(t)
	has := map[string]bool{}
	for _, p := range ours {
		has[p.Name] = true
		if !slices.Contains(theirs, p.Name) && p.Group != "transports" { // those of transports depend on master.cf
			t.Errorf("Postfix has no %s", p.Name)
		}
		if p.Answer() == "" || len(p.Here) == 0 && !p.Yet && p.Text == "" {
			t.Errorf("%s: no answer", p.Name)
		}
	}
	for _, name := range theirs {
		if p, ok := Postfix(name); !ok {
			t.Errorf("%s = ...: configs/postfix.txt has no line for it", name)
		} else if !has[name] && p.Group != "transports" {
			t.Errorf("%s has a pattern, and no line with its name", name)
		}
	}
}

// TestLeftOutIsNotDeclared: a line that says why a parameter is left out has none of that
// name, and one with a remark has one.
func TestLeftOutIsNotDeclared(t *testing.T) {
	t.Parallel()
	table, err := readPostfix(postfixText, declared())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range table.rows {
		here := table.declared(row.name)
		switch {
		case row.mark == markText && len(here) > 0:
			t.Errorf("postfix.txt:%d: %s is declared (%s): take the text away, or write ~ before it", row.line, row.name, here)
		case row.mark == markNear && len(here) == 0:
			t.Errorf("postfix.txt:%d: %s is not declared: take the ~ away", row.line, row.name)
		case row.mark == markForce && len(here) == 0:
			t.Errorf("postfix.txt:%d: nothing has the name %s: take the ! away", row.line, row.name)
		}
	}
}

// TestParametersStandBelowTheirDaemon: a parameter stands below a daemon whose manual page
// lists it.
func TestParametersStandBelowTheirDaemon(t *testing.T) {
	t.Parallel()
	all, err := PostfixParams()
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string][]string{}
	for _, p := range all {
		switch p.Group {
		case "all", "transports", "other":
			continue
		}
		if pages[p.Group] == nil {
			pages[p.Group] = manualLists(t, p.Group)
		}
		if !slices.Contains(pages[p.Group], p.Name) && !strings.HasSuffix(p.Name, "_service_name") {
			t.Errorf("%s(8) has no %s", p.Group, p.Name)
		}
	}
	if len(pages) < 20 {
		t.Errorf("only %d daemons", len(pages))
	}
}

// manualLists are the parameters that a manual page of Postfix has a paragraph for. Of the
// parameters lmtp_* the page of smtp has one, under their twin's name.
func manualLists(t *testing.T, daemon string) []string {
	t.Helper()
	var text []byte
	for _, file := range []string{"/usr/share/man/man8/" + daemon + ".8postfix.gz", "/usr/share/man/man1/" + daemon + ".1.gz"} {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	if text == nil {
		t.Fatalf("there is no manual page of %s: the package postfix of Debian has it, unless dpkg is told to leave manuals out", daemon)
	}
	text = bytes.ReplaceAll(text, []byte(`\-`), []byte("-"))
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\.IP "\\fB([^"(]*)`).FindAllSubmatch(text, -1) {
		for _, name := range strings.FieldsFunc(string(m[1]), func(r rune) bool { return r == ' ' || r == ',' }) {
			name = strings.TrimSuffix(name, `\fR`)
			names = append(names, name)
			if twin, ok := strings.CutPrefix(name, "smtp_"); ok && daemon == "lmtp" {
				names = append(names, "lmtp_"+twin)
			}
		}
	}
	return names
}

// TestWhatIsSaidOfPostfix: each kind of line of postfix.txt, and what becomes of it when a
// parameter is declared.
func TestWhatIsSaidOfPostfix(t *testing.T) {
	t.Parallel()
	const text = `@why because
[smtpd]
a_here
a_yet yet
a_left it is old
a_reason @why
a_near ~ nearly
max_idle ! for another
a_as as a_here
[lmtp]
lmtp_* as smtp_*
+ lmtp_a lmtp_b
[smtp]
smtp_a
smtp_b yet
`
	params := []Param{{Name: "x.y", Names: []string{"a_here", "a_near"}}, {Name: "tables.max_idle"}, {Name: "smtp.a"}, {Name: "smtp.c", Text: "Text (Postfix a_text, and a_other)."}}
	answers := func(more ...Param) map[string]string {
		table, err := readPostfix(text, append(slices.Clone(params), more...))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, name := range []string{"a_here", "a_yet", "a_left", "a_reason", "a_near", "max_idle", "a_as", "lmtp_a", "lmtp_b", "lmtp_c", "smtp_a", "smtp_b", "nobody"} {
			if p, ok := table.param(name, 0); ok {
				out[name] = p.Answer()
			}
		}
		return out
	}
	same := func(got, want map[string]string) {
		t.Helper()
		for name := range got {
			if got[name] != want[name] {
				t.Errorf("%s: %q, want %q", name, got[name], want[name])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d answers, want %d: %v", len(got), len(want), got)
		}
	}
	want := map[string]string{
		"a_here": "x.y", "a_yet": "not there yet", "a_left": "left out: it is old", "a_reason": "left out: because", "a_near": "x.y; nearly",
		"max_idle": "left out: for another", "a_as": "x.y", "lmtp_a": "smtp.a", "lmtp_b": "not there yet", "smtp_a": "smtp.a", "smtp_b": "not there yet",
	}
	same(answers(), want)
	want["a_yet"], want["lmtp_b"], want["smtp_b"] = "a.yet", "lmtp.b", "smtp.b"
	same(answers(Param{Name: "a.yet"}, Param{Name: "smtp.b"}, Param{Name: "lmtp.b"}), want)
	want["lmtp_b"] = "smtp.b"
	same(answers(Param{Name: "q.z", Names: []string{"a_yet"}}, Param{Name: "smtp.b"}), func() map[string]string { want["a_yet"] = "q.z"; return want }())
	for _, broken := range []string{"[a]\nx @none\n", "[a]\nx\n+ y x\n"} {
		if _, err := readPostfix(broken, nil); err == nil {
			t.Errorf("%q is taken", broken)
		}
	}
}
