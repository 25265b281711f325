package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// stored are the checksums of the message files of a mailbox, by folder.
func stored(t *testing.T, root string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		folder, sub := filepath.Split(filepath.Dir(path))
		if err != nil || d.IsDir() || sub != "cur" && sub != "new" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, folder)
		out[rel] = append(out[rel], fmt.Sprintf("%x", sha256.Sum256(text)))
		return err
	}))
	for _, all := range out {
		slices.Sort(all)
	}
	return out
}

func sameStored(t *testing.T, what string, got, want map[string][]string) {
	t.Helper()
	for folder := range want {
		if !slices.Equal(got[folder], want[folder]) {
			t.Errorf("%s: folder %s has %d messages, want %d, or others", what, folder, len(got[folder]), len(want[folder]))
		}
	}
	for folder := range got {
		if want[folder] == nil && len(got[folder]) > 0 {
			t.Errorf("%s: folder %s has %d messages", what, folder, len(got[folder]))
		}
	}
}

// fillNasty gives a mailbox messages that readers do not like, by APPEND, and two folders
// with flags and keywords.
func fillNasty(t *testing.T, b *box, address, word string) {
	t.Helper()
	c := dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+address+" "+word)
	for _, n := range nasty {
		text := n.text()
		c.command(t, fmt.Sprintf("APPEND INBOX () \"01-Feb-2023 04:05:06 +0000\" {%d+}\r\n%s", len(text), text))
	}
	for _, text := range []string{"From x Thu Nov 26 10:00:00 2026\r\n\r\nFrom a Thu Nov 26 10:00:00 2026\r\n>From b\r\n>>From c\r\n", "Subject: no end of line\r\n\r\nx",
		"Status: RO\r\nX-Status: D\r\nContent-Length: 3\r\n\r\ntext\r\n\r\n\r\n", "\r\n\r\n", " folded\r\n\r\nx\r\n"} {
		c.command(t, fmt.Sprintf("APPEND INBOX () \"01-Feb-2023 04:05:06 +0000\" {%d+}\r\n%s", len(text), text))
	}
	c.command(t, "CREATE Deep/Er")
	c.appendTo(t, "Deep/Er", `\Flagged work $Later`, "one")
	c.appendTo(t, "Deep/Er", `\Seen \Answered`, "two")
	c.appendTo(t, "Deep/Er", `\Seen \Answered`, "two") // twice the same
	c.command(t, `CREATE "Entw&APw-rfe"`)
	c.appendTo(t, `"Entw&APw-rfe"`, `\Draft \Deleted`, "three")
	c.command(t, "SUBSCRIBE Deep/Er")
	c.command(t, "LOGOUT")
}

// TestTransferThereAndBack: whatever a mailbox has comes out and in again as it was, by
// Maildir and by mbox, and nothing twice.
func TestTransferThereAndBack(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	fillNasty(t, b, alice, alicesWord)
	want := stored(t, b.Maildir(alice))
	dir := t.TempDir()
	run := func(says string, args ...string) {
		t.Helper()
		out, err := b.Run(ctx, "", append([]string{"mailbox"}, args...)...)
		if err != nil || !strings.Contains(out, says) {
			t.Errorf("%v: %v, %q does not say %q", args, err, out, says)
		}
	}
	n := len(nasty) + 9
	for form, to := range map[string]string{"maildir": filepath.Join(dir, "maildir"), "mbox": filepath.Join(dir, "x.mbox")} {
		run(fmt.Sprintf("%d messages of %s exported", n, alice), "export", alice, to)
		run(fmt.Sprintf("0 messages of %s exported, 0 B; %d were there already", alice, n), "export", alice, to)
		address := form + "@example.test"
		must(t, b.AddMailbox(ctx, address, bobsWord))
		run(fmt.Sprintf("%d messages of %s would be imported", n, address), "import", address, to, "--dry-run")
		run(fmt.Sprintf("%d messages of %s imported", n, address), "import", address, to)
		run(fmt.Sprintf("0 messages of %s imported, 0 B; %d were there already", address, n), "import", address, to)
		sameStored(t, form, stored(t, b.Maildir(address)), want)
		c := dialIMAP(t, b.IMAP())
		c.command(t, "LOGIN "+address+" "+bobsWord)
		for box, flags := range map[string]string{"Deep/Er": `one(\Flagged $Later work) two(\Answered \Seen) two(\Answered \Seen)`, `"Entw&APw-rfe"`: `three(\Deleted \Draft)`} {
			if got := sortFlags(c.seen(t, box)); got != sortFlags(flags) {
				t.Errorf("%s, %s: %s", form, box, got)
			}
		}
		if list := string(c.command(t, `LSUB "" "*"`)); !strings.Contains(list, "Deep/Er") {
			t.Errorf("%s: %s", form, list)
		}
		// What its owner takes away stays away.
		c.command(t, "SELECT Deep/Er")
		c.command(t, `STORE 1 +FLAGS (\Deleted)`)
		c.command(t, "EXPUNGE")
		c.command(t, "MOVE 1 INBOX")
		run("0 messages of", "import", address, to)
	}
	// Python finds the same messages, and the flags of one that it can parse.
	out := client(t, dir, "", "python3", "-c", "import mailbox; m=mailbox.mbox('x.mbox', create=False); print(len(m), ''.join(sorted(x for k in m.keys() if b'\\nSubject: one\\n' in m.get_bytes(k) for x in m[k].get_flags())))")
	if strings.TrimSpace(out) != fmt.Sprintf("%d FO", n) {
		t.Errorf("python reads %q of %d messages", out, n)
	}
}

// sortFlags puts the flags in each pair of brackets in order.
func sortFlags(s string) string {
	parts := strings.Split(s, "(")
	for i := 1; i < len(parts); i++ {
		flags, rest, _ := strings.Cut(parts[i], ")")
		f := strings.Fields(flags)
		slices.Sort(f)
		parts[i] = strings.Join(f, " ") + ")" + rest
	}
	return strings.Join(parts, "(")
}

// TestTransferGoesOn: an export and an import that are killed at any moment go on, and
// nothing is lost or there twice.
func TestTransferGoesOn(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	const n = 3000
	var file bytes.Buffer
	for i := range n {
		fmt.Fprintf(&file, "From a@example.net Thu Nov 26 10:00:00 2026\nSubject: %d\n\nText %d\n%s\n\n", i, i, strings.Repeat("x", i%2000))
	}
	dir := t.TempDir()
	from := filepath.Join(dir, "in.mbox")
	must(t, os.WriteFile(from, file.Bytes(), 0o600))
	for k := 1; ; k++ {
		if k > 200 {
			t.Fatal("it does not come to an end")
		}
		if killedAfter(t, b, time.Duration(k)*40*time.Millisecond, "mailbox", "import", alice, from) {
			break
		}
	}
	want := stored(t, b.Maildir(alice))
	if got := len(want["."]); got != n {
		t.Fatalf("%d messages of %d", got, n)
	}
	for _, to := range []string{filepath.Join(dir, "out"), filepath.Join(dir, "out.mbox")} {
		for k := 1; !killedAfter(t, b, time.Duration(k)*40*time.Millisecond, "mailbox", "export", alice, to); k++ {
			if k > 200 {
				t.Fatal("it does not come to an end")
			}
		}
		out, err := b.Run(ctx, "", "mailbox", "import", bob, to)
		if err != nil {
			t.Errorf("%s %v", out, err)
		}
		sameStored(t, to, stored(t, b.Maildir(bob)), want)
	}
}

// killedAfter runs a command and kills it after a time; true when it came to its end before.
func killedAfter(t *testing.T, b *box, after time.Duration, args ...string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(testContext(t), after)
	defer cancel()
	out, err := b.Run(ctx, "", args...)
	if err != nil && ctx.Err() == nil {
		t.Fatalf("%v: %s %v", args, out, err)
	}
	return err == nil
}

// TestTransferOutlivesTheServer: a server that is killed during an import, and two imports
// at once: each message is there once.
func TestTransferOutlivesTheServer(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	const n = 2000
	var file bytes.Buffer
	for i := range n {
		fmt.Fprintf(&file, "From a@example.net Thu Nov 26 10:00:00 2026\nSubject: %d\n\nText %d\n%s\n\n", i, i, strings.Repeat("x", i%3000))
	}
	from := filepath.Join(t.TempDir(), "in.mbox")
	must(t, os.WriteFile(from, file.Bytes(), 0o600))
	imported := func() <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := b.Run(testContext(t), "", "mailbox", "import", alice, from)
			done <- err
		}()
		return done
	}
	for k := 1; ; k++ {
		done := imported()
		select {
		case err := <-done:
			must(t, err)
			k = 0
		case <-time.After(time.Duration(k) * 50 * time.Millisecond):
		}
		if k == 0 {
			break
		}
		b.Kill()
		<-done
		b.start(t)
	}
	once := func(address string) {
		t.Helper()
		all := stored(t, b.Maildir(address))["."]
		if len(all) != n || len(slices.Compact(all)) != n {
			t.Errorf("%s has %d messages, %d different ones, want %d", address, len(all), len(slices.Compact(all)), n)
		}
	}
	once(alice)
	results := make(chan error, 2)
	for range cap(results) {
		go func() {
			_, err := b.Run(testContext(t), "", "mailbox", "import", bob, from)
			results <- err
		}()
	}
	for range cap(results) {
		must(t, <-results)
	}
	once(bob)
}

// TestTransferOfNothing: a source or target that cannot be used is one line that says why, and
// no line that says how many messages went.
func TestTransferOfNothing(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	none := filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{
		{"import", alice, none}, {"import", alice, none + ".mbox"}, {"import", alice, b.Data()}, {"export", alice, filepath.Join(none, "x")},
	} {
		out, err := b.Run(testContext(t), "", append([]string{"mailbox"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), "exit status 1") || strings.Contains(out+err.Error(), "0 messages") || !strings.Contains(err.Error(), args[2]) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}
