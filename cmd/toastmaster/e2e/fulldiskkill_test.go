package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// TestKilledOnAFullDisk fills the disk, kills, and starts on the full disk:
// the mailbox can be opened, messages are moved, flagged and expunged, by IMAP
// and POP3, and with the room that they gave back mail comes again.
func TestKilledOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "192m")
	ballast := filepath.Join(disk, "ballast")
	b := serveIn(t, filepath.Join(disk, "srv"), map[string]string{"queue.min_free": "0"})
	const count = 30
	c := b.imapLogin(t, alice, alicesWord, nil)
	for i := range count {
		must(t, appendSized(c, fmt.Sprintf("%d@full.example.net", i), 300<<10))
	}
	fill(t, ballast)
	b.Kill()
	fill(t, ballast)
	if free := freeOf(t, disk); free > 4096 {
		t.Fatalf("%d octets are free", free)
	}
	b.start(t)
	fill(t, ballast)

	c = b.imapLogin(t, alice, alicesWord, nil)
	selected, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	if selected.NumMessages != count {
		t.Errorf("%d messages", selected.NumMessages)
	}
	section := &imap.FetchItemBodySection{Peek: true}
	fetched, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	must(t, err)
	if len(fetched) != 1 || len(fetched[0].FindBodySection(section)) < 300<<10 {
		t.Errorf("fetched %d", len(fetched))
	}
	if err := appendSized(c, "no@full.example.net", 300<<10); err == nil {
		t.Error("APPEND on a full disk was answered OK")
	} else if refused := (*imap.Error)(nil); !errors.As(err, &refused) {
		t.Fatalf("APPEND: %v", err)
	}
	// This client closes the connection when its literal is refused.
	c = b.imapLogin(t, alice, alicesWord, nil)
	_, err = c.Select("INBOX", nil).Wait()
	must(t, err)
	_, err = c.Move(imap.SeqSetNum(1, 2), "Trash").Wait()
	must(t, err)
	must(t, c.Store(imap.SeqSet{{Start: 1, Stop: 10}}, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}, Silent: true}, nil).Close())
	must(t, c.Expunge().Close())
	must(t, c.Logout().Wait())
	b.deleteByPOP3(t, 3)

	// There is room now, and for what comes, too.
	eventually(t, func() error { return b.sendSized("after@full.example.net", 200<<10) })
	b.flushUntilEmpty(t)
	c = b.imapLogin(t, alice, alicesWord, nil)
	status, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	must(t, err)
	if want := uint32(count - 2 - 10 - 3 + 1); *status.NumMessages != want {
		t.Errorf("%d messages, want %d", *status.NumMessages, want)
	}
	inTrash(t, c, 2)
	b.Kill()
	b.start(t)
	c = b.imapLogin(t, alice, alicesWord, nil)
	again, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	must(t, err)
	if *again.NumMessages != *status.NumMessages {
		t.Errorf("%d messages after another kill, were %d", *again.NumMessages, *status.NumMessages)
	}
	inTrash(t, c, 2)
	must(t, os.Remove(ballast))
}

func inTrash(t *testing.T, c *imapclient.Client, want uint32) {
	t.Helper()
	status, err := c.Status("Trash", &imap.StatusOptions{NumMessages: true}).Wait()
	must(t, err)
	if *status.NumMessages != want {
		t.Errorf("%d messages in Trash", *status.NumMessages)
	}
}

func freeOf(t *testing.T, dir string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	must(t, syscall.Statfs(dir, &st))
	return int64(st.Bavail) * st.Bsize
}

// deleteByPOP3 deletes the first n messages.
func (b *box) deleteByPOP3(t *testing.T, n int) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", b.POP3(), time.Minute)
	must(t, err)
	defer conn.Close()
	p := &popConn{conn, bufio.NewReader(conn)}
	commands := []string{"", "USER " + alice, "PASS " + alicesWord}
	for i := range n {
		commands = append(commands, fmt.Sprintf("DELE %d", i+1))
	}
	for _, command := range append(commands, "QUIT") {
		_, err := p.line(command)
		must(t, err)
	}
}
