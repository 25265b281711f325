package fence

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFenceHolds: in every thread, and for the programs that are run. The program is one
// without cgo, as ours is; a kernel without Landlock says so.
func TestFenceHolds(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "inside")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/inside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, execute := range []string{"execute", "no"} {
		in, out := t.TempDir(), t.TempDir()
		file := filepath.Join(t.TempDir(), "file")
		for _, f := range []string{file, filepath.Join(out, "old")} {
			if err := os.WriteFile(f, []byte("text"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		text, err := exec.CommandContext(t.Context(), program, execute, in, file, out).CombinedOutput()
		if err != nil {
			t.Fatalf("%v %s", err, text)
		}
		said := map[string]string{}
		for line := range strings.Lines(string(text)) {
			what, is, _ := strings.Cut(strings.TrimSpace(line), ": ")
			said[what] = is
		}
		if !strings.Contains(said["holds"], "no_new_privs") {
			t.Errorf("holds %s", said["holds"])
		}
		if !strings.Contains(said["holds"], "landlock") {
			t.Fatalf("this kernel has no Landlock, which the test needs: %s", said["holds"])
		}
		for what, want := range map[string]string{
			"write inside": "true", "folder inside": "true", "rename inside": "true", "write the file": "true", "read outside": "true",
			"make outside": "false", "change outside": "false", "remove outside": "false", "move out": "false", "run that writes outside": "false",
		} {
			if said[what] != want {
				t.Errorf("%s, %s: %q", execute, what, said[what])
			}
		}
		if want := map[string]string{"execute": "true", "no": "false"}[execute]; said["run"] != want {
			t.Errorf("%s: run %q", execute, said["run"])
		}
	}
}
