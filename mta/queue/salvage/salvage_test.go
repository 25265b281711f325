package salvage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder is an empty corrupt/ on a disk, beside deferred/; a valid ID begins with M.
func folder(t *testing.T, fsys vfs.FS) (*Folder, *bytes.Buffer) {
	t.Helper()
	for _, dir := range []string{"/corrupt", "/deferred"} {
		if err := fsys.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	must(t, fsys.SyncDir("/"))
	var log bytes.Buffer
	return &Folder{
		FS: fsys, Path: "/corrupt", Log: msglog.New(slog.NewTextHandler(&log, nil)),
		Valid: func(id envelope.QueueID) bool { return strings.HasPrefix(string(id), "M") },
	}, &log
}

func text(t *testing.T, fsys vfs.FS, name string) string {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return string(b)
}

var errWhy = errors.New("its checksum is wrong")

// TestWhatIsKeptIsKept: each way of keeping, with each operation of the disk failing
// once or from then on. What is said to be there is, also after a power loss; and what
// is not is where it was.
func TestWhatIsKeptIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		keep     func(f *Folder) bool
	}{
		"file":    {"/deferred/M1", "/corrupt/M1", func(f *Folder) bool { return f.File("M1", "/deferred/M1", errWhy) }},
		"content": {"/deferred/M1", "/corrupt/M1.content", func(f *Folder) bool { return f.Content("M1", "/deferred/M1") }},
		"record":  {"", "/corrupt/M1.record", func(f *Folder) bool { return f.RecordOf("M1", []byte("octets"), errWhy) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, always := range []bool{false, true} {
				for n := 1; ; n++ {
					d := faultfs.NewDisk()
					_, _ = folder(t, d)
					if c.from != "" {
						must(t, vfs.Replace(d, c.from, []byte("octets")))
					}
					faults := faultfs.Wrap(d)
					if always {
						faults.FailFrom(faultfs.Any, n, faultfs.EIO)
					} else {
						faults.FailNth(faultfs.Any, n, faultfs.EIO)
					}
					var log bytes.Buffer
					f := &Folder{FS: faults, Path: "/corrupt", Log: msglog.New(slog.NewTextHandler(&log, nil))}
					kept := c.keep(f)
					what := fmt.Sprintf("operation %d failed (%v), kept %v", n, always, kept)
					if lines := strings.Count(log.String(), "\n"); lines != 1 {
						t.Errorf("%s: %d lines: %s", what, lines, log.String())
					}
					for when, after := range map[string]vfs.FS{"now": d, "after a power loss": d.Crash()} {
						there, before := text(t, after, c.to), c.from != "" && text(t, after, c.from) != ""
						if kept && there != "octets" {
							t.Errorf("%s, %s: it has %q", what, when, there)
						}
						if !kept && c.from != "" && !before && there == "" {
							t.Errorf("%s, %s: it is nowhere", what, when)
						}
					}
					if faults.Count(faultfs.Any) < n {
						if !kept {
							t.Error("not kept on a sound disk")
						}
						break
					}
				}
			}
		})
	}
}

func TestAContentThatIsNowhereKeepsNothingBack(t *testing.T) {
	t.Parallel()
	f, log := folder(t, faultfs.NewDisk())
	if !f.Content("M1", "/deferred/M1") || log.Len() > 0 {
		t.Errorf("%s", log)
	}
}

// TestPartsAndRemains: what an operator sees and deletes.
func TestPartsAndRemains(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f, _ := folder(t, d)
	for name, content := range map[string]string{
		"M1": "message", "M1.content": "text", "M2.record": "ab", "M2.content": "cde", "M3.content": "f",
		"record-1-4096": "xx", "segment-1-8192": "yyyy",
	} {
		must(t, vfs.Replace(d, f.Name(name), []byte(content)))
	}
	ids, err := f.IDs()
	must(t, err)
	slices.Sort(ids)
	if !slices.Equal(ids, []envelope.QueueID{"M1", "M2", "M3"}) {
		t.Errorf("%v", ids)
	}
	var got []string
	for _, id := range ids {
		for _, p := range f.Parts(id) {
			got = append(got, fmt.Sprintf("%s %d %s", p.Path, p.Size, p.Reason))
		}
	}
	want := []string{
		"/corrupt/M1 7 ", "/corrupt/M1.content 4 its record in the journal is lost",
		"/corrupt/M2.record 2 its record in the journal is damaged", "/corrupt/M2.content 3 its record in the journal is lost",
		"/corrupt/M3.content 1 its record in the journal is lost",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if !f.HasFile("M1") || f.HasFile("M2") {
		t.Error("which have a file")
	}
	if r, err := f.Remains(context.Background()); err != nil || r != (Files{Path: "/corrupt", Count: 2, Size: 6}) {
		t.Errorf("%+v %v", r, err)
	}
	for _, want := range []bool{true, false} {
		if found, err := f.Delete("M2"); found != want || err != nil {
			t.Errorf("deleted %v %v", found, err)
		}
	}
	if got := text(t, d.Crash(), "/corrupt/M2.record") + text(t, d.Crash(), "/corrupt/M2.content"); got != "" {
		t.Errorf("after a power loss: %q", got)
	}
	if got := f.Parts("M1"); len(got) != 2 {
		t.Errorf("of another message: %v", got)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Remains(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRawReadsAroundWhatIsUnreadable(t *testing.T) {
	t.Parallel()
	whole := bytes.Repeat([]byte("x"), 3*rawStep)
	got := Raw(len(whole), func(p []byte, off int64) (int, error) {
		if off == rawStep {
			return copy(p[:10], whole), faultfs.EIO
		}
		return copy(p, whole[off:]), nil
	})
	want := bytes.Clone(whole)
	clear(want[rawStep+10 : 2*rawStep])
	if !bytes.Equal(got, want) {
		t.Error("it has other octets")
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		faultfs.EIO: true, syscall.EUCLEAN: true, io.ErrUnexpectedEOF: true,
		syscall.EMFILE: false, syscall.ENOMEM: false, os.ErrNotExist: false, faultfs.ENOSPC: false,
	} {
		if Unreadable(fmt.Errorf("read: %w", err)) != want {
			t.Errorf("%v", err)
		}
	}
}
