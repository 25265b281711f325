package peers

import (
	"os"
	"testing"

	"toastmaster/internal/testkit/proc"
)

// Need returns the path of a program that a test drives. Where it is not
// installed the test is left out and says so; in CI (environment CI) that is a
// failure, as nothing may be left out there.
func Need(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := proc.Find(program)
	if err != nil {
		LeaveOut(t, "%v (Debian package %s)", err, debianPackage)
	}
	return path
}

// NeedRoot leaves the test out when it is not run by root.
func NeedRoot(t testing.TB, why string) {
	t.Helper()
	if os.Getuid() != 0 {
		LeaveOut(t, "%s needs root", why)
	}
}

// LeaveOut ends a test that cannot be run on this machine. It is the only
// place that skips; in CI it fails instead.
func LeaveOut(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("in CI nothing may be left out: "+format, args...)
	}
	t.Skipf("left out: "+format, args...)
}

// TempDir makes a folder with a short name that everybody may enter and
// removes it when the test ends.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := MakeDir("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// MakeDir makes such a folder below parent ("" is the system's place for
// temporary files). The caller removes it.
func MakeDir(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "tm-")
	if err != nil {
		return "", err
	}
	// MkdirTemp allows nobody else in; the peers' own users must reach it.
	return dir, os.Chmod(dir, 0o755)
}
