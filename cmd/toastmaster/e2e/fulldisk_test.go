package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"toastmaster/internal/testkit/peers"
)

// smallDisk mounts a file system of its own in memory.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	peers.NeedRoot(t, "mounting a small disk")
	dir := filepath.Join(peers.TempDir(t), "disk")
	must(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		peers.LeaveOut(t, "mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestFullDisk fills the disk: the answer before the 250 is 452 4.3.1, on
// every way in; what was accepted is there; with space the service resumes
// without help.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "192m")
	ballast := filepath.Join(disk, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 48<<20), 0o600))
	b := serveIn(t, filepath.Join(disk, "srv"), map[string]string{"queue.min_free": "0"})

	// Large and small ones in turn: they take different ways.
	accepted := map[string]bool{}
	full := 0
	for i := 0; full < 10 && i < 5000; i++ {
		id := fmt.Sprintf("%d@full.example.net", i)
		size := 200 << 10
		if i%2 == 0 {
			size = 900 << 10
		}
		err := b.sendSized(id, size)
		var refused *smtpError
		switch {
		case err == nil:
			accepted[id] = true
			full = 0
		case errors.As(err, &refused):
			if !strings.HasPrefix(refused.reply, "452 4.3.1") {
				t.Fatalf("message %d was refused with %q", i, refused.reply)
			}
			full++
		default:
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if full < 10 {
		t.Fatalf("%d messages did not fill the disk", len(accepted))
	}
	t.Logf("%d messages were accepted before the disk was full", len(accepted))

	// The other ways in, and reading goes on.
	// What was queued is being delivered meanwhile and gives space back, so
	// each is repeated until the disk is full again.
	c := b.imapLogin(t, alice, alicesWord, nil)
	for _, way := range []struct {
		name string
		send func(id string) error
	}{
		{"lmtp", b.sendLMTP},
		{"imap", func(id string) error { return appendSized(c, id, 900<<10) }},
	} {
		refused := error(nil)
		for i := 0; refused == nil && i < 500; i++ {
			fill(t, filepath.Join(disk, "ballast2"))
			id := fmt.Sprintf("%s%d@full.example.net", way.name, i)
			refused = way.send(id)
			accepted[id] = refused == nil
		}
		if refused == nil {
			t.Errorf("%s was never refused", way.name)
		}
		var reply *smtpError
		if errors.As(refused, &reply) && !strings.HasPrefix(reply.reply, "452 4.3.1") {
			t.Errorf("%s: %v", way.name, refused)
		}
	}
	// This client closes the connection when its literal is refused.
	c = b.imapLogin(t, alice, alicesWord, nil)
	if _, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait(); err != nil {
		t.Errorf("STATUS on a full disk: %v", err)
	}

	must(t, os.Remove(ballast))
	must(t, os.Remove(filepath.Join(disk, "ballast2")))
	eventually(t, func() error {
		err := b.sendSized("after@full.example.net", 900<<10)
		if err == nil {
			accepted["after@full.example.net"] = true
		}
		return err
	})
	// What waited for space is due again after minimal_backoff_time; the test does not wait for it.
	b.flushUntilEmpty(t)
	b.checkExactlyOnce(t, alice, accepted)
}

// TestLittleSpace: MAIL is refused while there is still space for what was
// accepted, and for users; it is taken again when there is more.
func TestLittleSpace(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "192m")
	b := serveIn(t, filepath.Join(disk, "srv"), map[string]string{"queue.min_free": `"64 MiB"`, "store.min_free": `"16 MiB"`})
	must(t, b.sendSized("before@full.example.net", 200<<10))
	ballast := filepath.Join(disk, "ballast")
	var st syscall.Statfs_t
	must(t, syscall.Statfs(disk, &st))
	free := int64(st.Bavail) * st.Bsize
	must(t, os.WriteFile(ballast, make([]byte, free-48<<20), 0o600))
	eventually(t, func() error {
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		defer s.Close()
		reply, err := s.command("452 4.3.1", "MAIL FROM:<a@example.net>")
		if err != nil {
			return fmt.Errorf("%q, %w", reply, err)
		}
		return nil
	})
	must(t, b.sendLMTP("lmtp@full.example.net"))
	must(t, os.Remove(ballast))
	eventually(t, func() error { return b.sendSized("after@full.example.net", 900<<10) })
	b.queueEmpty(t)
	b.checkExactlyOnce(t, alice, map[string]bool{
		"before@full.example.net": true, "lmtp@full.example.net": true, "after@full.example.net": true,
	})
}

// fill appends to a file until there is no space.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(t, err)
	defer f.Close()
	chunk := make([]byte, 64<<10)
	for {
		if _, err := f.Write(chunk); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			return
		}
	}
}

func (b *box) sendLMTP(id string) error {
	l, err := dialSMTP(b.LMTP(), "LHLO")
	if err != nil {
		return err
	}
	defer l.Close()
	_, err = l.send("a@example.net", []string{alice}, sizedText(id, 900<<10))
	return err
}

func appendSized(c *imapclient.Client, id string, size int) error {
	text := sizedText(id, size)
	a := c.Append("INBOX", int64(len(text)), nil)
	_, _ = a.Write([]byte(text))
	_ = a.Close()
	_, err := a.Wait()
	return err
}

// flushUntilEmpty asks for an attempt to deliver everything, until the queue is
// empty.
func (b *box) flushUntilEmpty(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		out, err := b.Run(testContext(t), "", "queue", "list", "--json")
		must(t, err)
		if !strings.Contains(out, `"id"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still queued: %s", out)
		}
		_, err = b.Run(testContext(t), "", "queue", "flush")
		must(t, err)
		time.Sleep(200 * time.Millisecond)
	}
}

func sizedText(id string, size int) string {
	head := fmt.Sprintf("From: a@example.net\r\nSubject: sized\r\nMessage-ID: <%s>\r\n\r\n", id)
	const line = "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\r\n"
	return head + strings.Repeat(line, size/len(line))
}

func (b *box) sendSized(id string, size int) error {
	s, err := dialSMTP(b.SMTP(), "EHLO")
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.send("a@example.net", []string{alice}, sizedText(id, size))
	return err
}

// checkExactlyOnce compares a mailbox with the Message-IDs that must be in it,
// each whole, and nothing else.
func (b *box) checkExactlyOnce(t *testing.T, address string, want map[string]bool) {
	t.Helper()
	count := map[string]int{}
	for _, f := range b.mail(t, address, "") {
		text := readFile(t, f)
		_, rest, ok := strings.Cut(text, "\nMessage-ID: <")
		id, _, _ := strings.Cut(rest, ">")
		if !ok {
			t.Errorf("%s holds no message of the test: %.300q", f, text)
		}
		count[id]++
		if !strings.HasSuffix(text, "0123456789\n") || len(text) < 190<<10 {
			t.Errorf("%s is not whole: %d octets", id, len(text))
		}
		if !want[id] {
			t.Errorf("%s was refused and is there", id)
		}
	}
	for id, accepted := range want {
		if accepted && count[id] != 1 {
			t.Errorf("%s was accepted and is there %d times", id, count[id])
		}
	}
}
