package mailstore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/vfs"
)

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	check(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

// TestCompressedByDovecot: mail that Dovecot's zlib plugin wrote is what Dovecot
// reads, and a copy made here is read there.
func TestCompressedByDovecot(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"gz", "bz2", "lz4", "zstd", "xz"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			saves := "zlib_save = " + form
			if form == "xz" {
				saves = "" // it wrote that until 2.3.13, and reads it
			}
			d := newDoveadm(t, saves)
			texts := []string{
				"From: a@b\nSubject: short\n\nx\n",
				"From: a@b\nSubject: long\n\n" + strings.Repeat("a line of text that is repeated\n", 30000) + "the end\n",
				"From: a@b\nSubject: noise\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfind me\n--b--\n" + noise(200000),
			}
			for _, text := range texts {
				d.run(text, "save")
			}
			if form == "xz" {
				packWithXZ(t, d.home)
			}
			d.run("", "flags", "add", `\Seen`, "mailbox", "INBOX", "uid", "2")
			check(t, os.Mkdir(filepath.Join(d.root(), Private), 0o700))
			s := openStore(t, d.root())
			u := openUser(t, s)
			// Before anything is read: it is known from the names.
			used, err := s.Usage(t.Context(), alice())
			check(t, err)
			if got, want := ours(t, u, "INBOX"), dovecotFlags(d.look("INBOX")); got != want {
				t.Errorf("have\n%swant\n%s", got, want)
			}
			v := openView(t, u, "INBOX")
			var size int64
			for i, text := range texts {
				size += int64(len(text))
				if got := readAllOf(t, v, uint32(i)+1); got != text {
					t.Errorf("%d: %d octets, want %d: %.60q", i, len(got), len(text), got)
				}
			}
			if used.Bytes != size {
				t.Errorf("usage %d, want %d", used.Bytes, size)
			}
			check(t, u.Create(t.Context(), "Trash", ""))
			_, _, err = v.Copy(t.Context(), []uint32{1, 2, 3}, "Trash")
			check(t, err)
			_, err = v.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{imap.FlagFlagged}, 0)
			check(t, err)
			check(t, v.Close())
			before := ours(t, u, "Trash")
			check(t, u.Close())
			check(t, s.Close())
			if got := dovecotFlags(d.look("Trash")); got != before {
				t.Errorf("Dovecot sees\n%swant\n%s", got, before)
			}
			// Without the index, and copies too.
			for _, name := range []string{"toastmaster.index", "toastmaster.index.log", "toastmaster.cache"} {
				_ = os.Remove(filepath.Join(d.home, name))
				_ = os.Remove(filepath.Join(d.home, ".Trash", name))
			}
			s = openStore(t, d.root())
			u = openUser(t, s)
			for _, mailbox := range []string{"INBOX", "Trash"} {
				v = openView(t, u, mailbox)
				for i, text := range texts {
					if got := readAllOf(t, v, uint32(i)+1); got != text {
						t.Errorf("%s %d: %d octets, want %d", mailbox, i, len(got), len(text))
					}
				}
				check(t, v.Close())
			}
			check(t, u.Close())
			check(t, s.Close())
		})
	}
}

// packWithXZ packs what lies in new and cur, under its name.
func packWithXZ(t *testing.T, home string) {
	t.Helper()
	for _, dir := range []string{"new", "cur"} {
		for _, name := range files(t, filepath.Join(home, dir)) {
			path := filepath.Join(home, dir, name)
			info, err := os.Stat(path)
			check(t, err)
			packed, err := exec.Command(peers.Need(t, "xz", "xz-utils"), "-c", path).Output()
			check(t, err)
			check(t, os.WriteFile(path, packed, 0o600)) // the owner stays
			check(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
		}
	}
}

// noise is text that does not get smaller.
func noise(n int) string {
	var b strings.Builder
	x := uint32(1)
	for b.Len() < n {
		for range 70 {
			x = x*1664525 + 1013904223
			b.WriteByte(byte('!' + x>>24%90))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestCompressedNames: what is taken for compressed and what is not, by name
// and content.
func TestCompressedNames(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oddMailbox(t, root)
	check(t, os.RemoveAll(home(root, "cur")))
	check(t, os.Mkdir(home(root, "cur"), 0o700))
	text := "Subject: compressed\n\n" + strings.Repeat("text\n", 1000)
	packed := gzipped(t, text)
	tiny := "Subject: t\n\nx\n"
	put := func(name string, data []byte) {
		t.Helper()
		check(t, os.WriteFile(home(root, "cur", name), data, 0o600))
	}
	put("10.a:2,SZ", packed)                                        // by a script, no size
	put(fmt.Sprintf("11.a,S=%d:2,SZ", len(text)), packed)           // by a script
	put(fmt.Sprintf("12.a,S=%d:2,S", len(text)), packed)            // by the plugin, no W
	put(fmt.Sprintf("13.a,S=%d,W=9999:2,S", len(packed)), packed)   // a message that is a gzip file
	put(fmt.Sprintf("14.a,S=%d,W=9999:2,SZ", len(packed)), packed)  // Z says what it is
	put("15.a:2,S", []byte(tiny))                                   // plain
	put("16.a:2,SZ", []byte(tiny))                                  // plain, whatever the letter says
	put("17.a,S=5000:2,SZ", packed[:len(packed)/2])                 // cut
	put("18.a,S=5000,W=6000:2,SZ", []byte("\xfd7zXZ\x00and so on")) // not read
	want := []string{text, text, text, string(packed), text, tiny, tiny, "", ""}
	var log strings.Builder
	o := options(root)
	logTo(&log, &o)
	for range 2 {
		s, err := Open(t.Context(), o)
		check(t, err)
		u := openUser(t, s)
		v := openView(t, u, "INBOX")
		if v.Len() != len(want) {
			t.Fatal(v.Len())
		}
		for i, text := range want {
			seq := uint32(i) + 1
			c, err := v.Read(t.Context(), seq)
			if text == "" {
				if !errors.Is(err, ErrUnreadable) {
					t.Errorf("%d: %v", i, err)
				}
				continue
			}
			check(t, err)
			check(t, c.Close())
			if got := readAllOf(t, v, seq); got != text {
				t.Errorf("%d: %.50q", i, got)
			}
			if lines := int64(strings.Count(text, "\n")); i != 3 && v.Message(seq).Size != int64(len(text))+lines {
				t.Errorf("%d: size %d", i, v.Message(seq).Size)
			}
		}
		check(t, v.Close())
		check(t, u.Close())
		check(t, s.Close())
	}
	if n := strings.Count(log.String(), "compressed, and cannot be read"); n != 2*2 { // once a store
		t.Errorf("%d lines\n%s", n, log.String())
	}
}

// TestCompressedWhileOpen: a script compresses a message that we have stored.
func TestCompressedWhileOpen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	u := openUser(t, s)
	text := "Subject: later\n\n" + strings.Repeat("text\n", 100000)
	_, _, err := u.Append(t.Context(), "INBOX", []imap.Flag{imap.FlagSeen}, s.vol.Clock.Now(), message("later"))
	check(t, err)
	raw := gzipped(t, "not for us to open\n")
	_, _, err = u.Append(t.Context(), "INBOX", nil, s.vol.Clock.Now(), envelope.Memory(raw))
	check(t, err)
	v := openView(t, u, "INBOX")
	name := files(t, home(root, "cur"))[0]
	check(t, os.WriteFile(home(root, "tmp", "z"), gzipped(t, text), 0o600))
	check(t, os.Rename(home(root, "tmp", "z"), home(root, "cur", name+"Z")))
	check(t, os.Remove(home(root, "cur", name)))
	for range 2 {
		if got := readAllOf(t, v, 1); got != text {
			t.Errorf("%.50q", got)
		}
		if got := v.Message(1); got.Size != int64(len(text)+strings.Count(text, "\n")) || !slices.Contains(got.Flags, imap.FlagSeen) {
			t.Errorf("%+v", got)
		}
	}
	if got := readAllOf(t, v, 2); got != string(raw) {
		t.Errorf("what was appended came back as %q", got)
	}
	_, err = v.SetFlags(t.Context(), []uint32{1}, FlagsSet, nil, 0)
	check(t, err)
	if got := files(t, home(root, "cur")); len(got) != 1 || !strings.HasSuffix(got[0], ":2,Z") {
		t.Errorf("%q", got)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// TestBombs: a small file that is a huge message is not read, and leaves
// nothing behind.
func TestBombs(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oddMailbox(t, root)
	check(t, os.RemoveAll(home(root, "cur")))
	check(t, os.Mkdir(home(root, "cur"), 0o700))
	bomb := gzipped(t, "Subject: bomb\n\n"+strings.Repeat("0", 8<<20))
	check(t, os.WriteFile(home(root, "cur", "10.a:2,SZ"), bomb, 0o600))
	check(t, os.WriteFile(home(root, "cur", "11.a:2,S"), []byte("Subject: x\n\nx\n"), 0o600))
	o := options(root)
	o.Store.UnpackedLimit = 4 << 20
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	if v.Len() != 2 || !strings.HasPrefix(readAllOf(t, v, 2), "Subject: x") {
		t.Error(v.Len())
	}
	if _, err := v.Read(t.Context(), 1); !errors.Is(err, ErrUnreadable) {
		t.Errorf("%v", err)
	}
	if got := files(t, filepath.Join(root, Private, "spool")); len(got) != 0 {
		t.Errorf("%q", got)
	}
	check(t, v.Expunge(t.Context(), []uint32{1}))
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
	if got := files(t, home(root, "cur")); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// TestCompressedOnAFailingDisk: a disk that fails while a compressed message is looked
// at is no word about the message: it is never listed with the size of its file, nor
// called unreadable, and all is well when the disk is.
func TestCompressedOnAFailingDisk(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oddMailbox(t, root)
	check(t, os.RemoveAll(home(root, "cur")))
	check(t, os.Mkdir(home(root, "cur"), 0o700))
	text := "Subject: compressed\n\n" + noise(100_000)
	packed := gzipped(t, text)
	check(t, os.WriteFile(home(root, "cur", "10.a:2,SZ"), packed, 0o600))
	check(t, os.WriteFile(home(root, "cur", fmt.Sprintf("11.a,S=%d,W=%d:2,S", len(text), len(text)+strings.Count(text, "\n"))), packed, 0o600))
	faults := faultfs.Wrap(vfs.OS{})
	// after has the reads of the messages fail but the first of each.
	after := func(n int) {
		count := map[string]int{}
		faults.Hook(func(op faultfs.Op, name string) error {
			if _, base := filepath.Split(name); op != faultfs.Read || !strings.HasPrefix(base, "1") {
				return nil
			}
			if count[name]++; count[name] > n {
				return faultfs.EIO
			}
			return nil
		})
	}
	var log strings.Builder
	o := options(root)
	o.FS = faults
	logTo(&log, &o)
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	for n := range 3 {
		after(n)
		if v, err := u.Open(t.Context(), "INBOX", false); err == nil {
			t.Errorf("%d reads: listed with size %d", n, v.Message(1).Size)
			check(t, v.Close())
		} else if !errors.Is(err, faultfs.EIO) || errors.Is(err, ErrUnreadable) {
			t.Errorf("%d reads: %v", n, err)
		}
	}
	faults.Hook(nil)
	v := openView(t, u, "INBOX")
	for n := range 3 {
		after(n)
		s.memory.Clear() // what was unpacked is kept for a minute
		for seq := uint32(1); seq <= 2; seq++ {
			if c, err := v.Read(t.Context(), seq); err == nil {
				t.Errorf("%d reads: read %d", n, c.Size())
				check(t, c.Close())
			} else if !errors.Is(err, faultfs.EIO) || errors.Is(err, ErrUnreadable) {
				t.Errorf("%d reads of %d: %v", n, seq, err)
			}
		}
	}
	faults.Hook(nil)
	for seq := uint32(1); seq <= 2; seq++ {
		if got := readAllOf(t, v, seq); got != text || v.Message(seq).Size != int64(len(text)+strings.Count(text, "\n")) {
			t.Errorf("%d: %d octets of %d, size %d", seq, len(got), len(text), v.Message(seq).Size)
		}
	}
	if strings.Contains(log.String(), "compressed, and cannot be read") {
		t.Error(log.String())
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
