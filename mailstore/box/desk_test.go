package box_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/mailstore/account"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// desk is one process with the mailboxes of one account, on a disk that fails on demand. It
// has of package mailstore only what a Box asks for, so that a test reaches every call.
type desk struct {
	t       *testing.T
	disk    *faultfs.Disk
	faults  *faultfs.Faults
	clock   *clocktest.Clock
	log     *logtest.Buffer
	vol     *volume.Volume
	journal *recovery.Journal
	acct    *account.Account
	memory  *box.Memory
	boxes   map[string]*box.Box
	uses    map[*box.Box]int
	lazy    map[string]bool
	changed map[string]int // how often other processes were told
}

func newDesk(t *testing.T, disk *faultfs.Disk, change func(*configs.Store)) *desk {
	t.Helper()
	c := configs.Default().Store
	c.JournalSegment, c.DefaultFolders, c.Reserve = 64<<10, nil, 0
	if change != nil {
		change(&c)
	}
	d := &desk{
		t: t, disk: disk, faults: faultfs.Wrap(disk), clock: clocktest.New(time.Now()), log: &logtest.Buffer{},
		boxes: map[string]*box.Box{}, uses: map[*box.Box]int{}, lazy: map[string]bool{}, changed: map[string]int{},
	}
	d.vol = volume.New(volume.Options{Root: "/mail", FS: d.faults, Clock: d.clock, Log: msglog.New(slog.NewTextHandler(d.log, nil)), Hostname: "host.test", Config: c})
	check(t, disk.MkdirAll("/mail/"+volume.Private+"/spool", 0o700))
	check(t, d.vol.Open(t.Context()))
	d.journal, d.memory = recovery.New(d.vol), box.NewMemory(d.vol)
	d.acct = account.New(account.Options{Volume: d.vol, Records: d.journal.Account("alice"), Sum: d.sum, Retain: func(int) {}})
	check(t, d.acct.Ensure())
	check(t, d.journal.Recover(t.Context(), d))
	t.Cleanup(d.end)
	return d
}

// end ends the process without its last work.
func (d *desk) end() {
	if d.vol == nil {
		return
	}
	_ = d.journal.Close(context.Background())
	_ = d.vol.Close()
	d.vol = nil
}

func (d *desk) sum(ctx context.Context, names []string) (sum account.Usage, err error) {
	for _, name := range names {
		mb, err := d.Open(ctx, name, false)
		if err != nil {
			return sum, err
		}
		mb.AddTo(&sum)
		mb.Put()
	}
	return sum, nil
}

func (d *desk) Open(ctx context.Context, name string, _ bool) (*box.Box, error) {
	dir, err := d.acct.FolderDir(name)
	if err != nil {
		return nil, err
	}
	return d.OpenDir(ctx, dir)
}

// OpenDir is a use of a mailbox, which is loaded if it is not in memory.
func (d *desk) OpenDir(ctx context.Context, dir string) (*box.Box, error) {
	mb := d.boxes[dir]
	if mb == nil {
		mb = box.New(box.Options{
			Volume: d.vol, Journal: d.journal, Account: d.acct, Memory: d.memory, Dir: dir, Open: d.Open, OpenDir: d.OpenDir,
			Put: func() { d.uses[mb]-- },
			Left: func() {
				if d.boxes[dir] == mb {
					delete(d.boxes, dir)
				}
			},
			Lazy:    func(on bool) { d.lazy[dir] = on },
			Changed: func() { d.changed[dir]++ },
		})
		if err := mb.Load(ctx); err != nil {
			return nil, err
		}
		d.boxes[dir] = mb
	}
	d.uses[mb]++
	return mb, nil
}

// box is a mailbox; the test has no use of it to give back.
func (d *desk) box(dir string) *box.Box {
	d.t.Helper()
	mb, err := d.OpenDir(d.t.Context(), dir)
	check(d.t, err)
	mb.Put()
	return mb
}

func (d *desk) view(dir string) *box.View {
	d.t.Helper()
	mb, err := d.OpenDir(d.t.Context(), dir)
	check(d.t, err)
	v, err := mb.View(d.t.Context(), dir, false)
	check(d.t, err)
	return v
}

// make makes a mailbox.
func (d *desk) make(name string) {
	d.t.Helper()
	check(d.t, d.acct.Create(d.t.Context(), name, ""))
}

func (d *desk) append(dir, subject string, flags ...imap.Flag) uint32 {
	d.t.Helper()
	_, uid, err := d.box(dir).Append(d.t.Context(), flags, time.Unix(1e9, 0), message(subject))
	check(d.t, err)
	return uid
}

// write puts a file into a mailbox, as another program does.
func (d *desk) write(name, text string) {
	d.t.Helper()
	f, err := d.disk.OpenFile(filepath.Join("/mail/alice", name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	check(d.t, err)
	_, err = f.Write([]byte(text))
	check(d.t, errors.Join(err, f.Close()))
}

func (d *desk) read(name string) string {
	d.t.Helper()
	b, err := volume.ReadFile(d.disk, filepath.Join("/mail/alice", name))
	check(d.t, err)
	return string(b)
}

// files are the messages' files of a mailbox, "new/name" and "cur/name".
func (d *desk) files(dir string) (files []string) {
	d.t.Helper()
	for _, sub := range []string{"new", "cur"} {
		entries, err := d.disk.ReadDir(filepath.Join("/mail/alice", dir, sub))
		check(d.t, err)
		for _, e := range entries {
			files = append(files, sub+"/"+e.Name())
		}
	}
	return files
}

// see is what a mailbox has: "UID subject flags" of each message. Whoever sees it has looked
// at what others did, and there are as many files as messages.
func (d *desk) see(dir string) (seen []string) {
	d.t.Helper()
	d.clock.Advance(d.vol.Config.VerifyInterval)
	mb, err := d.OpenDir(d.t.Context(), dir)
	check(d.t, err)
	v, err := mb.View(d.t.Context(), dir, true)
	check(d.t, err)
	defer v.Close()
	for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
		seen = append(seen, d.message(v, seq))
	}
	if files := d.files(dir); len(files) != len(seen) {
		d.t.Errorf("%q has the files %q and the messages %q", dir, files, seen)
	}
	return seen
}

func (d *desk) message(v *box.View, seq uint32) string {
	d.t.Helper()
	m := v.Message(seq)
	flags := slices.Clone(m.Flags)
	slices.Sort(flags)
	return fmt.Sprintf("%d %s %v", m.UID, d.subject(v, seq), flags)
}

func (d *desk) subject(v *box.View, seq uint32) string {
	d.t.Helper()
	c, err := v.Read(d.t.Context(), seq)
	check(d.t, err)
	b, err := io.ReadAll(envelope.Reader(c))
	check(d.t, errors.Join(err, c.Close()))
	_, rest, _ := strings.Cut(string(b), "Subject: ")
	subject, _, _ := strings.Cut(rest, "\n")
	return subject
}

// sees says that a mailbox has exactly these messages.
func (d *desk) sees(dir string, want ...string) {
	d.t.Helper()
	if got := d.see(dir); !slices.Equal(got, want) {
		d.t.Errorf("%q has\n%q, want\n%q", dir, got, want)
	}
}

// counts says that the quota has what the mailboxes hold.
func (d *desk) counts() {
	d.t.Helper()
	names, err := d.acct.Names()
	check(d.t, err)
	sum, err := d.sum(d.t.Context(), names)
	check(d.t, err)
	if used, err := d.acct.Quota.Used(d.t.Context()); err != nil || used != sum {
		d.t.Errorf("the quota has %+v, the mailboxes hold %+v, %v", used, sum, err)
	}
}

// The hands of a start, as package mailstore has them.

func (d *desk) Restore(ctx context.Context, r *recovery.Record, left bool, content func() ([]byte, error)) (int, error) {
	if there, err := d.vol.IsMaildir(filepath.Join(d.acct.Home(), r.Dir)); left && !there || err != nil {
		return 0, err
	}
	check(d.t, d.acct.EnsureFolder(r.Dir))
	text, err := content()
	if err != nil {
		return 0, err
	}
	return box.Restore(ctx, d.box(r.Dir), r, left, text)
}

func (d *desk) Repeat(ctx context.Context, r *recovery.Record, x recovery.Repetition) (int, error) {
	if there, err := d.vol.IsMaildir(filepath.Join(d.acct.Home(), r.Dir)); err != nil || !there {
		return 0, err
	}
	if r.Kind == recovery.Expunged || x.ToLeaves {
		return box.RepeatExpunge(ctx, d.box(r.Dir), r, x)
	}
	return box.Repeat(ctx, d.box(r.Dir), d.box(r.To), r, x)
}

func (d *desk) Delete(ctx context.Context, r *recovery.Record) (int, error) {
	if there, err := d.vol.IsMaildir(filepath.Join(d.acct.Home(), r.Dir)); err != nil || !there {
		return 0, err
	}
	_, err := box.RepeatDelete(ctx, d.box(r.Dir), r.Validity)
	return 1, err
}

func (d *desk) Rename(ctx context.Context, r *recovery.Record, leave func(recovery.Departure) error) ([]string, bool, error) {
	return nil, true, box.RepeatRename(ctx, d.box(r.Dir), leave, r.To)
}

func flags(names ...string) (flags []imap.Flag) {
	for _, name := range names {
		flags = append(flags, imap.Flag(name))
	}
	return flags
}
