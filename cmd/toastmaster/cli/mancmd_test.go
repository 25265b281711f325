package cli

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"toastmaster/configs"
)

// TestManualPages: every command, parameter and program has its place in the
// manual, and groff has nothing to say about any page.
func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	env := &Environment{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	if code := Run(t.Context(), env, []string{"man", dir}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	visit(newRootCommand(env), func(cmd *cobra.Command) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		if page := readPage(t, filepath.Join(dir, "man1", name+".1")); !strings.Contains(page, cmd.Short) {
			t.Errorf("%s does not say %q", name, cmd.Short)
		}
	})
	parameters := readPage(t, filepath.Join(dir, "man5", "toastmaster.toml.5"))
	for _, p := range configs.Default().Bound() {
		if _, key, _ := strings.Cut(p.Name, "."); !strings.Contains(parameters, "\n.SS "+key+"\n") {
			t.Errorf("toastmaster.toml(5) lacks %s", p.Name)
		}
	}
	for _, program := range []string{"sendmail", "mailq", "newaliases", "postmap", "postqueue", "postsuper", "postcat", "qshape"} {
		readPage(t, filepath.Join(dir, "man1", program+".1"))
	}
	pages, err := filepath.Glob(filepath.Join(dir, "man?", "*"))
	if err != nil {
		t.Fatal(err)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Fatalf("%v: the tests need what .ci/packages lists", err)
	}
	said, err := exec.Command(groff, append([]string{"-man", "-Tutf8", "-ww", "-z"}, pages...)...).CombinedOutput()
	if err != nil || len(said) > 0 {
		t.Errorf("groff: %v\n%s", err, said)
	}
}

func visit(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			visit(c, do)
		}
	}
}

func readPage(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{".TH ", ".SH NAME", ".SH SEE ALSO"} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("%s lacks %s", filepath.Base(file), part)
		}
	}
	return strings.ReplaceAll(string(text), `\-`, "-")
}
