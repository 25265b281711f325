package maildrop

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"toastmaster/internal/vfs"
)

func written(t testing.TB, m *Message, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m, []byte(content)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestAMessageIsWholeOrNone: each part of a message is none, and so is each with another octet.
func TestAMessageIsWholeOrNone(t *testing.T) {
	t.Parallel()
	m := &Message{Name: "x", Sender: "a@example.test", Recipients: []Recipient{{Address: "b"}, {Address: "c@example.test", Notify: "NEVER", ORcpt: "rfc822;x"}}, Notify: "NEVER", EightBit: true, Trace: TraceRecord}
	text := written(t, m, "Subject: x\n\nhello\n")
	var content bytes.Buffer
	got, err := Read(bytes.NewReader(text), &content, 18)
	if err != nil || !reflect.DeepEqual(got, m) || content.String() != "Subject: x\n\nhello\n" {
		t.Errorf("%+v %q %v", got, content.String(), err)
	}
	for n := range text {
		if _, err := Read(bytes.NewReader(text[:n]), io.Discard, 100); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d octets: %v", n, err)
		}
		other := bytes.Clone(text)
		other[n] ^= 1
		if _, err := Read(bytes.NewReader(other), io.Discard, 100); err == nil {
			t.Errorf("octet %d is another one, and nobody sees it", n)
		}
	}
	if _, err := Read(bytes.NewReader(append(text, 'x')), io.Discard, 100); !errors.Is(err, ErrMalformed) {
		t.Errorf("more behind it: %v", err)
	}
	if _, err := Read(bytes.NewReader(text), io.Discard, 17); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large one: %v", err)
	}
	for _, in := range []string{"maildrop1 -1 5 00000000\nhello", "maildrop1 99999999999999999999 1 00000000\n", "maildrop1 1 1 0\nxx", strings.Repeat("m", 100)} {
		if _, err := Read(strings.NewReader(in), io.Discard, 100); err == nil {
			t.Errorf("%q is a message", in)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(written(f, &Message{Sender: "a"}, "x\n"))
	f.Add([]byte("maildrop1 2 0 00000000\n{}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var content bytes.Buffer
		m, err := Read(bytes.NewReader(in), &content, 1000)
		if err == nil && (m == nil || !bytes.HasSuffix(in, content.Bytes())) {
			t.Errorf("%+v %q of %q", m, content.Bytes(), in)
		}
	})
}

// TestTheFolder: modes, also of one that is there; what is put is read by its name; the umask does not
// shut out the service.
func TestTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "public")
	for range 2 {
		if err := Make(dir, os.Geteuid(), os.Getegid()); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]os.FileMode{
			"": os.ModeDir | 0o755, Drop: os.ModeDir | os.ModeSticky | os.ModeSetgid | 0o733, Taken: os.ModeDir | 0o700, Bad: os.ModeDir | 0o700,
		} {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil || info.Mode() != want {
				t.Errorf("%q: %v %v, want %v", name, info.Mode(), err, want)
			}
			if err := os.Chmod(filepath.Join(dir, name), 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := Put(vfs.OS{}, dir, &Message{Sender: "a"}, []byte("x\n")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, Drop))
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v %v", entries, err)
	}
	name := entries[0].Name()
	if message, half := IsName(name); !message || half {
		t.Errorf("%s is no name", name)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	text, err := os.ReadFile(filepath.Join(dir, Drop, name))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Read(bytes.NewReader(text), io.Discard, 10); err != nil || m.Name != name[1:] {
		t.Errorf("%+v %v", m, err)
	}
	for _, link := range []string{Taken, "file"} {
		target := filepath.Join(t.TempDir(), "elsewhere")
		must := os.Symlink(t.TempDir(), target)
		if err := makeOne(target, 0o700, os.Geteuid(), os.Getegid()); must != nil || err == nil {
			t.Errorf("%s: a link is taken for a folder", link)
		}
	}
}

func TestIsName(t *testing.T) {
	t.Parallel()
	hexes := strings.Repeat("0f", 16)
	for name, want := range map[string][2]bool{
		"m" + hexes: {true, false}, "t" + hexes: {false, true}, "x" + hexes: {}, "": {}, "m": {}, "m" + hexes[1:] + "G": {}, "m" + hexes + "0": {}, "m../" + hexes[3:]: {},
	} {
		if m, h := IsName(name); [2]bool{m, h} != want {
			t.Errorf("%q: %v %v", name, m, h)
		}
	}
}
