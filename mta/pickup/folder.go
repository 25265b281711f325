package pickup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/service"
	"toastmaster/internal/vfs"
)

// Limits of the folder. They are no parameters: the first is what a read of a folder has room for, halfAge longer than any
// writer takes, mostBad what an operator looks at, workers what a group commit needs to be one.
const (
	pageOfNames = 1000
	halfAge     = 24 * time.Hour
	mostBad     = 1000
	workers     = 10
)

func (s *Service) path(parts ...string) string {
	return filepath.Join(append([]string{s.o.Dir}, parts...)...)
}

// sweep takes all there is. What could not be taken before is tried first.
func (s *Service) sweep(ctx context.Context) error {
	if err := s.o.Room(0); err != nil {
		return err
	}
	if _, err := s.o.FS.Stat(s.path(maildrop.Drop)); err != nil {
		return err // whoever removed it: mail is lost without a word else
	}
	left, err := s.takenNames(ctx)
	if err != nil {
		return err
	}
	known, err := s.known(ctx, left)
	if err != nil {
		return err
	}
	left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(known, name) })
	s.troubles.keep(left)
	left = slices.DeleteFunc(left, func(name string) bool { return !s.troubles.due(name, s.o.Clock.Now()) })
	if err := s.process(ctx, left); err != nil {
		return err
	}
	for {
		names, more, err := s.waiting(ctx)
		if err != nil {
			return err
		}
		taken, err := s.take(names)
		if err != nil {
			return err
		}
		if err := s.process(ctx, taken); err != nil {
			return err
		}
		if !more || len(taken) == 0 {
			return nil
		}
	}
}

// waiting are names in drop, users taking turns; more says that a user has more than batch_limit.
func (s *Service) waiting(ctx context.Context) (names []string, more bool, err error) {
	byUser := map[int][]string{}
	var foreign []string
	var most int
	err = vfs.EachName(ctx, s.o.FS, s.path(maildrop.Drop), func(name string) {
		message, half := maildrop.IsName(name)
		if !message && !half {
			if len(foreign) < pageOfNames {
				foreign = append(foreign, name)
			}
			return
		}
		info, err := s.o.FS.Lstat(s.path(maildrop.Drop, name))
		if err != nil {
			return // its owner has removed it
		}
		f := statusOf(info)
		switch {
		// A folder can neither be read nor, by who is not root, be moved elsewhere.
		case info.IsDir(), half && s.o.Clock.Now().Sub(f.changed) > halfAge:
			foreign = append(foreign, name)
		case half:
		case len(byUser[f.uid]) >= s.now.Load().params.BatchLimit:
			more = true
		default:
			byUser[f.uid] = append(byUser[f.uid], name)
			most = max(most, len(byUser[f.uid]))
		}
	})
	s.clear(foreign)
	for n := range most {
		for _, list := range byUser {
			if n < len(list) {
				names = append(names, list[n])
			}
		}
	}
	return names, more, err
}

// clear removes from drop what is no message.
func (s *Service) clear(names []string) {
	var left []error
	for _, name := range names {
		path := s.path(maildrop.Drop, name)
		info, err := s.o.FS.Lstat(path)
		if err != nil {
			continue // its owner has removed it
		}
		if _, half := maildrop.IsName(name); half && !info.IsDir() {
			if s.o.FS.Remove(path) == nil {
				s.o.Log.Info("half a message removed", "service", serviceName, "file", name)
			}
			continue
		}
		if info.IsDir() && s.o.FS.Remove(path) == nil {
			continue // an empty one
		}
		if err := s.setAside(path, "x"+string(s.o.NewID()), "no name of a message", false); err != nil {
			left = append(left, err)
		}
	}
	s.cannotMove(&s.foreign, left, "foreign", "there are names that are no message's, and cannot be moved away: remove them as root")
}

// cannotMove notes names of drop that nothing can be done with, once for as long as there are as many.
func (s *Service) cannotMove(known *int, failed []error, what, text string) {
	if len(failed) == *known {
		return
	}
	if *known = len(failed); *known > 0 {
		s.o.Log.Warn("folder of pickup", "service", serviceName, what, len(failed), "cause", fmt.Errorf("%s: %w", text, failed[0]))
	}
}

// take moves messages where their owners cannot reach them, under the IDs that they will have.
func (s *Service) take(names []string) (taken []string, err error) {
	var stuck []error
	for _, name := range names {
		to := string(s.o.NewID()) + "." + name[1:]
		err := s.o.FS.Rename(s.path(maildrop.Drop, name), s.path(maildrop.Taken, to))
		switch {
		case err == nil:
			taken = append(taken, to)
		case !errors.Is(err, fs.ErrNotExist): // its owner has removed it
			stuck = append(stuck, err) // it may be the disk's fault: the message stays, and is tried again
		}
	}
	s.cannotMove(&s.stuck, stuck, "stuck", "there are messages that cannot be taken; they are tried again")
	if len(taken) == 0 {
		return nil, nil
	}
	// A message that is in the queue must not come back under its old name.
	return taken, errors.Join(s.o.FS.SyncDir(s.path(maildrop.Drop)), s.o.FS.SyncDir(s.path(maildrop.Taken)))
}

// takenNames are those in taken, oldest ID first.
func (s *Service) takenNames(ctx context.Context) (names []string, err error) {
	err = vfs.EachName(ctx, s.o.FS, s.path(maildrop.Taken), func(name string) { names = append(names, name) })
	slices.Sort(names)
	return names, err
}

// dropKnown removes what the queue has.
func (s *Service) dropKnown(ctx context.Context) error {
	names, err := s.takenNames(ctx)
	if err != nil {
		return err
	}
	_, err = s.known(ctx, names)
	return err
}

// known are the names whose messages the queue has; their files are removed.
func (s *Service) known(ctx context.Context, names []string) (known []string, err error) {
	for _, name := range names {
		id, _, _ := strings.Cut(name, ".")
		has, err := s.o.Has(ctx, envelope.QueueID(id))
		if err != nil {
			return known, err
		}
		if !has {
			continue
		}
		if err := s.o.FS.Remove(s.path(maildrop.Taken, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return known, err
		}
		known = append(known, name)
	}
	if len(known) == 0 {
		return nil, nil
	}
	return known, s.o.FS.SyncDir(s.path(maildrop.Taken))
}

// process hands messages to the queue. Its error is one that ends the sweep: a full disk, the end of the
// service.
func (s *Service) process(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan string)
	var all sync.WaitGroup
	for range min(workers, len(names)) {
		all.Go(func() {
			for name := range next {
				err := s.fencedOne(ctx, name)
				if e := dsn.From(err); e != nil && e.Status == dsn.SystemFull {
					cancel(e)
				}
			}
		})
	}
	for _, name := range names {
		select {
		case next <- name:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	all.Wait()
	return errors.Join(context.Cause(ctx), s.o.FS.SyncDir(s.path(maildrop.Taken)))
}

// fencedOne is one, whose panic is that message's trouble, and whose error has a line in the log.
func (s *Service) fencedOne(ctx context.Context, name string) (err error) {
	keys := []any{"service", serviceName, "file", s.path(maildrop.Taken, name)}
	t := &taken{name: name}
	if panicked := service.Fenced(s.o.Log, func() error { err = s.one(ctx, t); return nil }, keys...); panicked != nil {
		if again := service.Fenced(s.o.Log, func() error { err = s.late(ctx, t, dsn.From(panicked)); return nil }, keys...); again != nil {
			err = again
		}
	}
	if err == nil {
		s.troubles.forget(name)
		return nil
	}
	if ctx.Err() != nil {
		return err // the end of the service is no trouble of the message
	}
	if e := dsn.From(err); e.Status == dsn.SystemFull {
		s.o.Log.Warn("message stays in the folder", append(keys, "cause", err)...)
		return err
	}
	wait := s.troubles.again(name, s.o.Clock.Now(), s.now.Load().params.WakeupTime, s.now.Load().maximalBackoff)
	s.o.Log.Warn("message stays in the folder", append(keys, "again", wait.String(), "cause", err)...)
	return err
}

// one hands one message to the queue. After an error it stays in taken.
func (s *Service) one(ctx context.Context, t *taken) error {
	name := t.name
	id, own, _ := strings.Cut(name, ".")
	path := s.path(maildrop.Taken, name)
	f, about, err := openTaken(s.o.FS, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, new(*notOurs)):
		return s.setAside(path, name, err.Error(), false)
	case err != nil:
		return s.late(ctx, t, dsn.From(err))
	}
	defer f.Close()
	t.written = about.written
	u, err := userOf(about.uid)
	if err != nil {
		return s.late(ctx, t, dsn.From(err))
	}
	m, err := s.read(u, f)
	if err == nil && m.said.Name != own {
		err = errors.Join(dsn.Wrap(dsn.SyntaxError, "Malformed message", fmt.Errorf("it says to be %q", m.said.Name)), m.content.Close())
	}
	switch e := dsn.From(err); {
	case e != nil && e.Temporary():
		return s.late(ctx, t, e)
	case e != nil:
		return s.setAside(path, name, err.Error(), false)
	}
	t.message = m
	_, e := s.accept(ctx, m, envelope.QueueID(id))
	switch {
	case e != nil && e.Temporary():
		return s.late(ctx, t, e)
	case e != nil:
		return s.giveBack(ctx, t, e)
	}
	return s.o.FS.Remove(path)
}

// notOurs is why a file is no message of its owner's.
type notOurs struct{ why string }

func (e *notOurs) Error() string { return e.why }

// status is what the file system says of a file.
type status struct {
	uid, names       int
	written, changed time.Time
}

// statusOf is the status of a file. A file system without owners, one of a test's, has those of this process.
func statusOf(info fs.FileInfo) status {
	s := status{uid: os.Geteuid(), names: 1, written: info.ModTime(), changed: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.uid, s.names, s.changed = int(st.Uid), int(st.Nlink), time.Unix(st.Ctim.Unix())
	}
	return s
}

// openTaken opens a file and says whose it is. Nothing is followed, and nothing waited for; what
// is asked is asked of what is open.
func openTaken(fsys vfs.FS, path string) (vfs.File, status, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO):
		return nil, status{}, &notOurs{"it is a link, or no file"}
	case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM):
		return nil, status{}, &notOurs{"its owner does not let the service read it"}
	case err != nil:
		return nil, status{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, status{}, errors.Join(err, f.Close())
	}
	s := statusOf(info)
	switch {
	case !info.Mode().IsRegular():
		err = &notOurs{"it is no regular file"}
	case s.names != 1:
		err = &notOurs{fmt.Sprintf("it has %d names", s.names)}
	}
	if err != nil {
		_ = f.Close()
		return nil, status{}, err
	}
	return f, s, nil
}

// errBadFull is why a message cannot be set aside.
var errBadFull = fmt.Errorf("there are %d files set aside already: look at them, and remove them", mostBad)

// setAside moves a file to bad. When there are too many it is removed, or, if it is to be kept, stays where it is.
func (s *Service) setAside(path, name, why string, keep bool) error {
	n := 0
	if err := vfs.EachName(context.Background(), s.o.FS, s.path(maildrop.Bad), func(string) { n++ }); err != nil {
		return err
	}
	uid := -1
	if info, err := s.o.FS.Lstat(path); err == nil {
		uid = statusOf(info).uid
	}
	if n >= mostBad {
		if keep {
			return errBadFull
		}
		if err := s.o.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.o.Log.Warn("file set aside", "service", serviceName, "uid", uid, "status", "removed", "cause", why)
		return nil
	}
	to := s.path(maildrop.Bad, name)
	if err := s.o.FS.Rename(path, to); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	s.o.Log.Warn("file set aside", "service", serviceName, "uid", uid, "file", to, "cause", why)
	return nil
}
