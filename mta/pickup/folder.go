package pickup

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"toastmaster/mta/agent"
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
	if _, err := os.Stat(s.path(maildrop.Drop)); err != nil {
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

// eachName calls f with the names in a folder, in no order.
func eachName(ctx context.Context, dir string, f func(name string)) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(pageOfNames)
		for _, name := range names {
			f(name)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

// waiting are names in drop, users taking turns; more says that a user has more than batch_limit.
func (s *Service) waiting(ctx context.Context) (names []string, more bool, err error) {
	byUser := map[uint32][]string{}
	var foreign []string
	var most int
	err = eachName(ctx, s.path(maildrop.Drop), func(name string) {
		message, half := maildrop.IsName(name)
		if !message && !half {
			if len(foreign) < pageOfNames {
				foreign = append(foreign, name)
			}
			return
		}
		var st unix.Stat_t
		if unix.Lstat(s.path(maildrop.Drop, name), &st) != nil {
			return // its owner has removed it
		}
		switch {
		case half && s.o.Clock.Now().Sub(time.Unix(st.Ctim.Unix())) > halfAge:
			foreign = append(foreign, name)
		case half:
		case len(byUser[st.Uid]) >= s.o.Params.BatchLimit:
			more = true
		default:
			byUser[st.Uid] = append(byUser[st.Uid], name)
			most = max(most, len(byUser[st.Uid]))
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
	left := 0
	for _, name := range names {
		if _, half := maildrop.IsName(name); half {
			if os.Remove(s.path(maildrop.Drop, name)) == nil {
				s.o.Log.Info("half a message removed", "service", serviceName, "file", name)
			}
			continue
		}
		if err := s.setAside(s.path(maildrop.Drop, name), "x"+string(s.o.NewID()), "no name of a message"); err != nil {
			left++
		}
	}
	if left != s.foreign {
		s.foreign = left
		s.o.Log.Warn("folder of pickup", "service", serviceName, "foreign", left, "cause", "there are names that are no message's, and cannot be moved away: remove them as root")
	}
}

// take moves messages where their owners cannot reach them, under the IDs that they will have.
func (s *Service) take(names []string) (taken []string, err error) {
	for _, name := range names {
		to := string(s.o.NewID()) + "." + name[1:]
		err := os.Rename(s.path(maildrop.Drop, name), s.path(maildrop.Taken, to))
		switch {
		case err == nil:
			taken = append(taken, to)
		case !errors.Is(err, fs.ErrNotExist): // its owner has removed it
			_ = s.setAside(s.path(maildrop.Drop, name), "x"+string(s.o.NewID()), "it cannot be taken: "+err.Error())
		}
	}
	if len(taken) == 0 {
		return nil, nil
	}
	// A message that is in the queue must not come back under its old name.
	return taken, errors.Join(syncDir(s.path(maildrop.Drop)), syncDir(s.path(maildrop.Taken)))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// takenNames are those in taken, oldest ID first.
func (s *Service) takenNames(ctx context.Context) (names []string, err error) {
	err = eachName(ctx, s.path(maildrop.Taken), func(name string) { names = append(names, name) })
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
		if err := os.Remove(s.path(maildrop.Taken, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return known, err
		}
		known = append(known, name)
	}
	if len(known) == 0 {
		return nil, nil
	}
	return known, syncDir(s.path(maildrop.Taken))
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
	return errors.Join(context.Cause(ctx), syncDir(s.path(maildrop.Taken)))
}

// fencedOne is one, whose panic is that message's trouble, and whose error has a line in the log.
func (s *Service) fencedOne(ctx context.Context, name string) (err error) {
	panicked := service.Fenced(s.o.Log, func() error { err = s.one(ctx, name); return nil }, "service", serviceName, "file", name)
	if err == nil {
		err = panicked
	}
	if err != nil && ctx.Err() == nil {
		s.o.Log.Warn("message stays in the folder", "service", serviceName, "file", s.path(maildrop.Taken, name), "cause", err)
	}
	return err
}

// one hands one message to the queue. After an error it stays in taken.
func (s *Service) one(ctx context.Context, name string) error {
	id, own, _ := strings.Cut(name, ".")
	path := s.path(maildrop.Taken, name)
	f, uid, err := openTaken(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, new(*notOurs)):
		return s.setAside(path, name, err.Error())
	case err != nil:
		return err
	}
	defer f.Close()
	u, err := userOf(uid)
	if err != nil {
		return err
	}
	m, err := s.read(u, f)
	if err == nil && m.said.Name != own {
		err = errors.Join(dsn.Wrap(dsn.SyntaxError, "Malformed message", fmt.Errorf("it says to be %q", m.said.Name)), m.content.Close())
	}
	if err != nil {
		if dsn.From(err).Temporary() {
			return err
		}
		return s.setAside(path, name, err.Error())
	}
	_, e := s.accept(ctx, m, envelope.QueueID(id))
	if e != nil && !e.Temporary() {
		return s.giveBack(ctx, m, path, e)
	}
	if e != nil {
		return e
	}
	return os.Remove(path)
}

// giveBack reports a refusal to the sender and removes the message.
func (s *Service) giveBack(ctx context.Context, m *received, path string, e *dsn.Error) error {
	s.o.Log.Info("mail of this host refused", "service", serviceName, "uid", m.user.uid, "cause", e)
	if may, err := s.submit.has(ctx, m.user); err != nil || !may || len(m.env.Recipients) == 0 {
		return errors.Join(err, s.setAside(path, filepath.Base(path), e.Text))
	}
	f, _, err := openTaken(path)
	if err != nil {
		return err
	}
	defer f.Close()
	again, err := s.read(m.user, f) // the content was closed with the refusal
	if err != nil {
		return err
	}
	defer again.content.Close()
	r := &agent.Report{Kind: agent.Failure, Envelope: m.env, Content: again.content}
	m.env.Arrived = s.o.Clock.Now()
	for n := range m.env.Recipients {
		m.env.Recipients[n].Refused = nil
		r.Recipients = append(r.Recipients, agent.ReportRecipient{Recipient: n, Err: e, At: m.env.Arrived})
	}
	if err := s.o.Reporter.Report(ctx, r); err != nil {
		return err
	}
	return os.Remove(path)
}

// notOurs is why a file is no message of its owner's.
type notOurs struct{ why string }

func (e *notOurs) Error() string { return e.why }

// openTaken opens a file and says whose it is. Nothing is followed, and nothing waited for; what
// is asked is asked of what is open.
func openTaken(path string) (f *os.File, uid int, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO):
		return nil, 0, &notOurs{"it is a link, or no file"}
	case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM):
		return nil, 0, &notOurs{"its owner does not let the service read it"}
	case err != nil:
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f = os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.Mode().IsRegular():
		err = &notOurs{"it is no regular file"}
	case st.Nlink != 1:
		err = &notOurs{fmt.Sprintf("it has %d names", st.Nlink)}
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, int(st.Uid), nil
}

// setAside moves a file to bad, or removes it when there are too many.
func (s *Service) setAside(path, name, why string) error {
	n := 0
	if err := eachName(context.Background(), s.path(maildrop.Bad), func(string) { n++ }); err != nil {
		return err
	}
	uid := -1
	var st unix.Stat_t
	if unix.Lstat(path, &st) == nil {
		uid = int(st.Uid)
	}
	if n >= mostBad {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.o.Log.Warn("no message", "service", serviceName, "uid", uid, "status", "removed", "cause", why)
		return nil
	}
	to := s.path(maildrop.Bad, name)
	if err := os.Rename(path, to); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	s.o.Log.Warn("no message", "service", serviceName, "uid", uid, "file", to, "cause", why)
	return nil
}
