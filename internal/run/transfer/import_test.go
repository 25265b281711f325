package transfer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"toastmaster/admin/model"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// TestFlagsOfSource: each flag that can be stored is taken once, in whatever case.
func TestFlagsOfSource(t *testing.T) {
	t.Parallel()
	got, left := cleanFlags([]string{`\Seen`, "work", "WORK", `\seen`, `\Recent`, `\Odd`, "no atom", "", "Later"})
	if strings.Join(got, " ") != `\Seen work Later` || left != 0 {
		t.Errorf("%q, %d left", got, left)
	}
}

// TestTooManyFlags: a message with more flags than an archive can say comes in with as many
// as there is room for, and the others are told.
func TestTooManyFlags(t *testing.T) {
	t.Parallel()
	for what, size := range map[string]int{"many": 8, "long": 250} {
		flags := []string{`\Seen`}
		for i := range 20000 {
			flags = append(flags, fmt.Sprintf("k%0*d", size, i))
		}
		i := &importing{o: ImportOptions{Address: "a@b", Progress: func(int, int64, int64, int64) {}}, r: newResult("a@b"), spool: &spool.Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: memory}}
		i.made, i.had, i.times = map[string]string{"INBOX": "INBOX"}, map[string]map[string]bool{}, map[string]map[[sha256.Size]byte]int{}
		i.begin("INBOX", map[string]bool{})
		m := &found{what: "message 3", folder: "INBOX", flags: flags, write: func(w io.Writer) error {
			_, err := io.WriteString(w, "Subject: x\n\n")
			return err
		}}
		must(t, i.one(t.Context(), m))
		must(t, i.batch.w.Close())
		r := tar.NewReader(io.NewSectionReader(i.batch.archive, 0, i.batch.archive.Size()))
		head, err := r.Next()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got := strings.Fields(head.PAXRecords[model.MailFlags])
		if len(got) > maxFlags || len(head.PAXRecords[model.MailFlags]) > maxFlagText || got[0] != `\Seen` || len(got) < 900 {
			t.Errorf("%s: %d flags, %d octets", what, len(got), len(head.PAXRecords[model.MailFlags]))
		}
		want := fmt.Sprintf("message 3: %d of its flags", len(flags)-len(got))
		if len(i.r.Failed) != 0 || len(i.r.Warnings) != 1 || !strings.HasPrefix(i.r.Warnings[0], want) {
			t.Errorf("%s: %q %q, want %s", what, i.r.Failed, i.r.Warnings, want)
		}
		must(t, i.batch.archive.Close())
	}
}

// TestManyWarnings: a source cannot fill the memory with what is said of it.
func TestManyWarnings(t *testing.T) {
	t.Parallel()
	r := newResult("a@b")
	for range 3 * maxFailures {
		r.warn("x")
	}
	if len(r.Warnings) != maxFailures+1 || !strings.Contains(r.Warnings[maxFailures], "more") {
		t.Errorf("%d warnings, the last %q", len(r.Warnings), r.Warnings[len(r.Warnings)-1])
	}
}

// TestAMessageThatDoesNotEnd: a file of a tenant may be a terabyte of nothing. Of one that the server
// will not take no more is read than says so, because it lies in TMPDIR meanwhile; and who ends the
// command does not wait for its end.
func TestAMessageThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	const limit, most = 100 << 10, 64 << 20
	for _, what := range []string{"too large", "ended"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		i := &importing{o: ImportOptions{Address: "a@b", Progress: func(int, int64, int64, int64) {}}, r: newResult("a@b"), spool: &spool.Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: memory}}
		i.made, i.had, i.times = map[string]string{"INBOX": "INBOX"}, map[string]map[string]bool{}, map[string]map[[sha256.Size]byte]int{}
		i.begin("INBOX", map[string]bool{})
		if what == "too large" {
			i.limit = limit
		}
		read := 0
		err := i.one(ctx, &found{what: "cur/1", folder: "INBOX", write: func(w io.Writer) error {
			for chunk := make([]byte, 32<<10); read < most; read += len(chunk) {
				if what == "ended" && read > limit {
					cancel()
				}
				if _, err := w.Write(chunk); err != nil {
					return err
				}
			}
			return nil
		}})
		if read > 2*limit {
			t.Errorf("%s: %d octets were read", what, read)
		}
		switch {
		case what == "ended" && !errors.Is(err, context.Canceled):
			t.Errorf("%s: %v", what, err)
		case what == "too large" && (err != nil || len(i.r.Failed) != 1 || !strings.Contains(i.r.Failed[0].Error, "admin.import_message_limit")):
			t.Errorf("%s: %v, %+v", what, err, i.r.Failed)
		}
		if i.batch != nil || i.r.Done > 0 {
			t.Errorf("%s: it would be stored", what)
			must(t, i.batch.archive.Close())
		}
	}
}
