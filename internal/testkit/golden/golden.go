package golden

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Set is the golden files of a test; its folder is testdata/golden of the
// package under test.
type Set struct{ update *bool }

// Flag defines -update. It is called once, from a variable of the test binary,
// because flags must be known before the tests begin.
func Flag() Set {
	return Set{flag.Bool("update", false, "write the golden files that are missing")}
}

// Read returns a golden file. With -update, one that is missing is made of
// written, which is what the program writes today; nil for an old
// version, which no program writes any more.
func (s Set) Read(t testing.TB, name string, written []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *s.update && written != nil {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, written, 0o644)); err != nil {
			t.Fatal(err)
		}
		return written
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Current is Read for the version that is written today: the file and written
// must be the same octets.
func (s Set) Current(t testing.TB, name string, written []byte) []byte {
	t.Helper()
	b := s.Read(t, name, written)
	if !bytes.Equal(b, written) {
		t.Errorf("%s: the format changed. It needs a new version and a new golden file\nfile %q\nnow  %q", name, b, written)
	}
	return b
}
