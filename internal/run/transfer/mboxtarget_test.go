package transfer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
	"toastmaster/internal/mbox"
)

var inbox = model.MailFolder{Name: "INBOX", UIDValidity: 7, UIDNext: 9, Keywords: []string{"work"}}

// exported are messages of a mailbox: UID 1 is the first.
var exported = []string{
	"Subject: one\n\nText of one.\n", "Subject: two\nStatus: D\n\nFrom here\n>From there\n\n\n", "no end of line\n\nF", "x", "\n", "Subject: last\nStatus: RO\n\nText of the last.\n",
}

// exportMbox exports messages to a file as Export does.
func exportMbox(path string, texts ...string) (err error) {
	t, err := openMboxTarget(&ExportOptions{Address: "alice@example.test", To: path}, []model.MailFolder{inbox})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.folder(inbox); err != nil {
		return err
	}
	for i, text := range texts {
		m := &model.MailMessage{UID: uint32(i + 1), Date: time.Date(2026, 11, 26, 10, 0, i, 0, time.UTC), Flags: []string{`\Seen`, `\Flagged`, "work"}}
		if text == "" {
			continue // it has left the mailbox
		}
		if there, err := t.has(m); err != nil || there {
			if err != nil {
				return err
			}
			continue
		}
		if err := t.put(m, int64(len(text)), strings.NewReader(text)); err != nil {
			return err
		}
	}
	return errors.Join(t.commit(), t.done(), t.finish(nil))
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// imported are the messages that an import finds.
func imported(t *testing.T, path string) (texts []string) {
	t.Helper()
	src, err := open(&ImportOptions{From: path, Form: Mbox})
	must(t, err)
	defer src.close()
	for {
		m, err := src.next(t.Context(), func(what, why string) { t.Errorf("%s: %s", what, why) })
		if errors.Is(err, io.EOF) {
			return texts
		}
		must(t, err)
		var b strings.Builder
		must(t, m.write(&b))
		texts = append(texts, b.String())
	}
}

// TestMboxGoesOnAnywhere: wherever an export was cut off, the next makes the file what it
// would have been.
func TestMboxGoesOnAnywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "whole.mbox")
	must(t, exportMbox(path, exported...))
	whole := readText(t, path)
	if got := imported(t, path); !slices.Equal(got, exported) {
		t.Fatalf("%q", got)
	}
	path = filepath.Join(dir, "cut.mbox")
	for n := range len(whole) + 1 {
		must(t, os.WriteFile(path, []byte(whole[:n]), 0o600))
		if err := exportMbox(path, exported...); err != nil {
			t.Errorf("cut off at octet %d, %q: %v", n, whole[max(n-20, 0):n], err)
			continue
		}
		if got := readText(t, path); got != whole {
			t.Fatalf("cut off at octet %d, behind %q:\n%q, want\n%q", n, whole[max(n-20, 0):n], got, whole)
		}
	}
}

// TestMboxKeepsWhatIsAppended: what another program has put behind an export stays, and
// is named.
func TestMboxKeepsWhatIsAppended(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.mbox")
	for _, more := range []string{
		"From bob@example.net Thu Nov 26 10:00:00 2026\nSubject: new\n\nText.\n\n",
		"From bob@example.net Thu Nov 26 10:00:00 2026\nStatus: RO\n\n",
		"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\nSubject: bounce\n\nText.\n\n",
		"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\nStatus: RO\n\nText.\n",
		"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\nStatus: RO\nX-Status: F\n\n",
		"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\nX-Toastmaster-Export: of another version\n",
		"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\nX-Status: F\nStatus: RO\n",
		"From \nSubject: Thunderbird's\n\nText.\n",
		"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\nSubject: " + strings.Repeat("x", 3<<20) + "\n",
	} {
		must(t, errors.Join(os.WriteFile(path, nil, 0o600), exportMbox(path, exported...)))
		text := readText(t, path) + more
		must(t, os.WriteFile(path, []byte(text), 0o600))
		err := exportMbox(path, append(slices.Clone(exported), "Subject: new\n\n")...)
		if got := readText(t, path); !strings.HasPrefix(got, text) {
			t.Errorf("%.100q: %d octets of %d are left", more, len(got), len(text))
		}
		if want := fmt.Sprintf("octet %d", len(text)-len(more)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100q: %v does not say %s", more, err, want)
		}
	}
}

// TestMboxKeepsWhatIsRewritten: the last message is as whole as before when a program has
// written it anew, whatever fields it has put in or taken out. It has left the mailbox.
func TestMboxKeepsWhatIsRewritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.mbox")
	for what, c := range map[string]struct{ from, to, last string }{
		"mutt":                     {"Status: RO\n\nText", "Content-Length: 18\nLines: 1\nStatus: RO\nX-Status: F\n\nText", "Subject: last\n\nText of the last.\n"},
		"mutt, shorter":            {"Status: RO\n\nText", "\nText", "Subject: last\n\nText of the last.\n"},
		"Dovecot":                  {"Status: RO\n\nText", "Status: RO\nX-UID: 6\nContent-Length: 18\n\nText", "Subject: last\n\nText of the last.\n"},
		"no blank line at the end": {"Text of the last.\n\n", "Text of the last, and more.\n", "Subject: last\n\nText of the last, and more.\n"},
		"no end of line":           {"Text of the last.\n\n", "Text of the last, and more.", "Subject: last\n\nText of the last, and more."},
	} {
		must(t, errors.Join(os.WriteFile(path, nil, 0o600), exportMbox(path, exported...)))
		text := readText(t, path)
		at := strings.LastIndex(text, "\nFrom MAILER-DAEMON ") + 1
		head, rest := text[:at], text[at:]
		if strings.HasPrefix(what, "mutt") {
			// It takes its fields out of where they were.
			line, fields, _ := strings.Cut(rest, "\n")
			rest = line + "\n" + fields[strings.Index(fields, "X-Toastmaster-Export"):]
		}
		text = head + strings.Replace(rest, c.from, c.to, 1)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		gone := append(slices.Clone(exported[:len(exported)-1]), "", "Subject: new\n\nnew\n")
		if err := exportMbox(path, gone...); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := readText(t, path); !strings.HasPrefix(got, text) {
			t.Errorf("%s: %q is not kept: %q", what, text[at:], got[min(at, len(got)):])
		}
		got := imported(t, path)
		if n := len(exported); len(got) != n+1 || got[n] != "Subject: new\n\nnew\n" || strings.TrimSuffix(got[n-1], "\n") != strings.TrimSuffix(c.last, "\n") {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// TestMboxAfterPowerLoss: a file may have become longer, and what was written not be there:
// zeros are no text of a message.
func TestMboxAfterPowerLoss(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.mbox")
	must(t, exportMbox(path, exported...))
	whole := readText(t, path)
	for _, n := range []int{1, 30, len(whole) / 2, len(whole) - 1, len(whole)} {
		must(t, os.WriteFile(path, []byte(whole[:n]+strings.Repeat("\x00", 200_000)), 0o600))
		if err := exportMbox(path, exported...); err != nil || readText(t, path) != whole {
			t.Errorf("zeros from octet %d on: %v, %.100q", n, err, readText(t, path)[min(n, 1000):])
		}
	}
}

// TestMboxBeginning: what a Writer writes is told from what others do.
func TestMboxBeginning(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	w := mbox.NewWriter(&b)
	w.Begin(7, []string{"work"})
	must(t, w.Write(mbox.Export{Account: "a@b", Folder: "x"}, mbox.Flags{Flagged: true}, []string{"work"}, strings.NewReader("A: 1\n\n")))
	must(t, w.Flush())
	head := b.String()[:strings.Index(b.String(), "A: 1")]
	for n := 1; n < len(head); n++ {
		if !mbox.IsBeginning([]byte(head[:n])) {
			t.Errorf("%q is none", head[:n])
		}
	}
	for _, text := range []string{"", head, head + "A", "F ", "From MAILER-DAEMON Thu\n\n", "From a", "From MAILER-DAEMON x\nStatus: RO\nStatus: RO\n"} {
		if mbox.IsBeginning([]byte(text)) {
			t.Errorf("%q is one", text)
		}
	}
}
