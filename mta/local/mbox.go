package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/process"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// mailboxFile is a file of messages, one behind the other.
type mailboxFile struct {
	path, text string
	// group is one that the delivery has beside the user's own, -1 for none: the spool
	// folder's.
	group int
	// owned: it must be the user's (strict_mailbox_ownership).
	owned bool
}

// as works on files with the rights of a user; a process that is not root's is that user already.
func (a *Agent) as(u hostuser.User, group int, f func() error) error { return process.As(u, group, f) }

// groupOf is the group that may write to the spool folder, -1 where all may.
func (a *Agent) groupOf(dir string) (int, error) {
	info, err := a.o.FS.Stat(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return -1, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode().Perm()&0o020 == 0 || st.Gid == 0 {
		return -1, nil
	}
	return int(st.Gid), nil
}

// mbox appends the message to a file, under its locks. It is durable, or the file is as it was.
func (d *delivery) mbox(ctx context.Context, s *step, box mailboxFile) (string, *dsn.Error) {
	err := d.a.as(s.who, box.group, func() error { return d.append(ctx, s, box) })
	switch {
	case err == nil:
		return box.text, nil
	case errors.Is(err, hostuser.ErrNotPermitted), errors.Is(err, hostuser.ErrRoot):
		return "", notPermitted(err)
	case errors.Is(err, syscall.EDQUOT):
		return "", dsn.Wrap(dsn.MailboxFullNow, "mailbox is over its quota", err)
	case spool.IsFull(err):
		return "", dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)
	}
	return "", refused("cannot update mailbox "+box.path+" for user "+s.who.Name, err)
}

func (d *delivery) append(ctx context.Context, s *step, box mailboxFile) (err error) {
	if info, err := d.a.o.FS.Lstat(box.path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return d.pipe(ctx, s, box.path)
	}
	unlock, err := d.dotLock(ctx, box.path)
	if err != nil {
		return err
	}
	defer unlock()
	f, made, err := d.open(box.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode()&fs.ModeNamedPipe != 0:
		return fmt.Errorf("%s has become a pipe", box.path)
	case !info.Mode().IsRegular():
		// A device: /dev/null is the usual one.
		return d.write(s, f)
	case ok && st.Nlink > 1:
		return fmt.Errorf("%s has several names", box.path)
	case ok && box.owned && d.a.o.Params.StrictOwnership && int(st.Uid) != s.who.UID:
		err := fmt.Errorf("it belongs to user %d", st.Uid)
		return dsn.Wrap(dsn.Make(4, 2, 0), fmt.Sprintf("cannot update mailbox %s for user %s. destination %[1]s is not owned by recipient", box.path, s.who.Name), err)
	}
	if err := d.lock(ctx, func() error { return f.TryLockAt(0) }); err != nil {
		return err
	}
	// Unlocked with the last close.
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if limit := d.a.o.Params.MailboxSizeLimit; limit > 0 && end+d.r.Content.Size() > limit {
		return dsn.New(dsn.MailboxFull, "mailbox size limit exceeded")
	}
	if err = d.mend(f, end); err == nil {
		err = d.write(s, f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil && made {
		err = d.a.o.FS.SyncDir(filepath.Dir(box.path))
	}
	if err != nil {
		return errors.Join(err, f.Truncate(end), f.Sync())
	}
	return nil
}

// pipe writes to a named pipe. Opened for writing alone it fails when nobody reads (ENXIO): what is written to a pipe that
// its writer reads, too, is lost with the last close.
func (d *delivery) pipe(ctx context.Context, s *step, path string) (err error) {
	f, err := d.a.o.FS.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err == nil && info.Mode()&fs.ModeNamedPipe == 0 {
		err = fmt.Errorf("%s is a pipe no more", path)
	}
	if err != nil {
		return err
	}
	clk := d.a.o.Clock
	return d.write(s, &toReader{ctx: ctx, clock: clk, until: clk.Now().Add(d.a.o.Params.CommandTimeLimit), pipe: f})
}

// toReader waits for the reader of a pipe that is full, as long as for a command.
type toReader struct {
	ctx   context.Context
	clock clock.Clock
	until time.Time
	pipe  io.Writer
}

// Write implements io.Writer.
func (w *toReader) Write(p []byte) (n int, err error) {
	try := func() error {
		some, err := w.pipe.Write(p[n:])
		n += some
		if errors.Is(err, syscall.EAGAIN) {
			return vfs.ErrLocked
		}
		return err
	}
	if err = try(); errors.Is(err, vfs.ErrLocked) {
		err = vfs.AwaitLock(w.ctx, w.clock, w.until.Sub(w.clock.Now()), try)
	}
	if errors.Is(err, vfs.ErrLocked) {
		err = errors.New("the reader of the pipe takes too long")
	}
	return n, err
}

// open opens the file that is there, or makes it. Nothing is followed but links of whoever may
// make them in the folder of a user's own: not in the end of the path.
func (d *delivery) open(path string) (f vfs.File, made bool, err error) {
	const flags = os.O_RDWR | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err = d.a.o.FS.OpenFile(path, flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = d.a.o.FS.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, 0o600)
		made = err == nil
	}
	return f, made, err
}

// mend ends a message that somebody was interrupted in, so that ours begins one.
func (d *delivery) mend(f vfs.File, end int64) error {
	if end == 0 {
		return nil
	}
	last := make([]byte, min(end, 2))
	if _, err := f.ReadAt(last, end-int64(len(last))); err != nil {
		return err
	}
	missing := ""
	switch {
	case last[len(last)-1] != '\n':
		missing = "\n\n"
	case string(last) != "\n\n":
		missing = "\n"
	}
	if missing == "" {
		return nil
	}
	_, err := f.Write([]byte(missing))
	return err
}

func (d *delivery) write(s *step, w io.Writer) error {
	c := d.copyOf(s, "file")
	c.From, c.At, c.Quote, c.Blank = from(s.sender), d.a.o.Clock.Now().Local(), true, true
	return c.Write(w, d.r.Content)
}

// lock tries again for as long as deliver_lock_attempts times deliver_lock_delay.
func (d *delivery) lock(ctx context.Context, try func() error) error {
	err := try()
	if !errors.Is(err, vfs.ErrLocked) {
		return err
	}
	p := d.a.o.Params
	err = vfs.AwaitLock(ctx, d.a.o.Clock, time.Duration(p.LockAttempts)*p.LockDelay, try)
	if errors.Is(err, vfs.ErrLocked) {
		return dsn.Wrap(dsn.Make(4, 2, 0), "unable to lock for exclusive access: Resource temporarily unavailable", err)
	}
	return err
}

// dotLock makes path.lock. In a folder where the user may make no file there is none, as in Postfix: then
// the other lock has to do. One that is older than stale_lock_time is taken away.
func (d *delivery) dotLock(ctx context.Context, path string) (unlock func(), err error) {
	name := path + ".lock"
	fsys := d.a.o.FS
	if info, err := fsys.Stat(path); err == nil && !info.Mode().IsRegular() {
		return func() {}, nil
	}
	err = d.lock(ctx, func() error {
		f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			return f.Close()
		case !errors.Is(err, fs.ErrExist):
			return err
		}
		if info, err := fsys.Lstat(name); err == nil && d.a.o.Clock.Now().Sub(info.ModTime()) > d.a.o.Params.StaleLockTime {
			_ = fsys.Remove(name) // the next try makes it
		}
		return vfs.ErrLocked
	})
	switch {
	case err == nil:
		return func() { _ = fsys.Remove(name) }, nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return func() {}, nil
	}
	return nil, err
}

// maildir puts the message into new. Its name is that of the delivery: when it is handed out
// again after a crash it is there already, and whole.
func (d *delivery) maildir(s *step, path string, group int) (string, *dsn.Error) {
	err := d.a.as(s.who, group, func() error { return d.put(s, filepath.Clean(path)) })
	switch {
	case err == nil:
		return "delivered to maildir", nil
	case errors.Is(err, hostuser.ErrNotPermitted), errors.Is(err, hostuser.ErrRoot):
		return "", notPermitted(err)
	case errors.Is(err, syscall.EDQUOT):
		return "", dsn.Wrap(dsn.MailboxFullNow, "maildir is over its quota", err)
	case spool.IsFull(err):
		return "", dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)
	}
	return "", refused("maildir delivery failed", err)
}

func (d *delivery) put(s *step, path string) error {
	fsys := d.a.o.FS
	if _, err := fsys.Stat(filepath.Join(path, "new")); errors.Is(err, fs.ErrNotExist) {
		if err := makeMaildir(fsys, path); err != nil {
			return err
		}
	}
	base := fmt.Sprintf("%d.%s.%s", d.r.Envelope.Arrived.Unix(), envelope.DeliveryID(d.r.Envelope.ID, d.to.Address), strings.ReplaceAll(d.a.o.Hostname, "/", "_"))
	if d.r.Replay {
		there, err := d.there(path, base)
		if err != nil || there {
			return err
		}
	}
	temp := filepath.Join(path, "tmp", base)
	if err := fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = d.copyOf(s, "file").Write(f, d.r.Content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(temp, filepath.Join(path, "new", base))
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(fsys.Remove(temp)))
	}
	return fsys.SyncDir(filepath.Join(path, "new"))
}

// makeMaildir makes a Maildir, or the rest of one. new is the last: who finds it finds the others, and
// durable, unless the power goes in between.
func makeMaildir(fsys vfs.FS, path string) error {
	if err := fsys.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for _, sub := range []string{"tmp", "cur"} {
		if err := fsys.Mkdir(filepath.Join(path, sub), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := errors.Join(fsys.SyncDir(path), fsys.SyncDir(filepath.Dir(path))); err != nil {
		return err
	}
	if err := fsys.Mkdir(filepath.Join(path, "new"), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return fsys.SyncDir(path)
}

// there says that the message was delivered before, and may have been read since.
func (d *delivery) there(path, base string) (bool, error) {
	for _, sub := range []string{"new", "cur"} {
		entries, err := d.a.o.FS.ReadDir(filepath.Join(path, sub))
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			if name, _, _ := strings.Cut(e.Name(), ":"); name == base {
				return true, d.a.o.FS.SyncDir(filepath.Join(path, sub))
			}
		}
	}
	return false, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
