package pickup

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/mta/agent"
)

// taken is a file in the folder of this name.
type taken struct {
	name    string
	written time.Time
	// message is nil when it could not be read. Its content is closed.
	message *received
}

// late is what becomes of a message that cannot go into the queue now: it is tried again, until it is as old as a message in the
// queue may become. Its error says that it stays.
func (s *Service) late(ctx context.Context, t *taken, e *dsn.Error) error {
	if e.Status == dsn.SystemFull { // of this host, and its report would not fit either
		return e
	}
	now := s.o.Clock.Now()
	// Since when this process knows it counts, too: a file may be of a clock that was ahead, or not to be asked.
	age := now.Sub(s.troubles.since(t.name, now))
	if !t.written.IsZero() {
		age = max(age, now.Sub(t.written))
	}
	if age < s.now.Load().lifetime {
		return e
	}
	old := *e
	old.Status, old.Code, old.Cause = dsn.Expired, 0, e
	old.Text = "Delivery time expired; last reason: " + e.Text
	path := s.path(maildrop.Taken, t.name)
	if t.message == nil {
		if err := s.setAside(path, t.name, old.Text, true); err != nil {
			return errors.Join(e, err)
		}
		s.gaveUp(t, "nobody: it cannot be read", e)
		return nil
	}
	to, err := s.report(ctx, t, &old)
	if err != nil {
		return errors.Join(e, err)
	}
	s.gaveUp(t, to, e)
	// It was told of with its content, so it need not be kept where there is no room for it.
	return s.setAside(path, t.name, old.Text, false)
}

func (s *Service) gaveUp(t *taken, told string, e *dsn.Error) {
	s.expired.Add(1)
	s.o.Log.Error("message given up", "service", serviceName, "file", t.name, "told", told, "cause", e)
}

// giveBack reports a refusal to the sender and removes the message.
func (s *Service) giveBack(ctx context.Context, t *taken, e *dsn.Error) error {
	m, path := t.message, s.path(maildrop.Taken, t.name)
	s.o.Log.Info("mail of this host refused", "service", serviceName, "uid", m.user.uid, "cause", e)
	if may, err := s.now.Load().submit.has(ctx, m.user); err != nil || !may || len(m.env.Recipients) == 0 {
		return errors.Join(err, s.setAside(path, filepath.Base(path), e.Text, false))
	}
	if _, err := s.report(ctx, t, e); err != nil {
		return err
	}
	return s.o.FS.Remove(path)
}

// report tells the sender what became of a message, whoever it was; the postmaster when there is none to tell.
func (s *Service) report(ctx context.Context, t *taken, e *dsn.Error) (told string, err error) {
	f, _, err := openTaken(s.o.FS, s.path(maildrop.Taken, t.name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	m := t.message
	again, err := s.read(m.user, f) // the content was closed with the refusal
	if err != nil {
		return "", err
	}
	defer again.content.Close()
	env := *m.env
	env.Arrived = s.o.Clock.Now()
	env.Recipients = append(env.Recipients[:0:0], env.Recipients...)
	if e.Status == dsn.Expired {
		s.addressed(&env, t)
	}
	r := &agent.Report{Kind: agent.Failure, Envelope: &env, Content: again.content}
	for n := range env.Recipients {
		env.Recipients[n].Refused = nil
		r.Recipients = append(r.Recipients, agent.ReportRecipient{Recipient: n, Err: e, At: s.o.Clock.Now()})
	}
	return env.Sender.String(), s.o.Reporter.Report(ctx, r)
}

// addressed has the report of a message that was given up go to somebody. One that was never decided about is its owner's,
// whatever it says.
func (s *Service) addressed(env *envelope.Envelope, t *taken) {
	env.Arrived = t.written
	if !t.message.decided {
		env.Sender, env.Recipients = t.message.user.address(s.o.Hostname), nil
		for _, r := range t.message.said.Recipients {
			if to, err := s.address(r.Address, false); err == nil {
				env.Recipients = append(env.Recipients, envelope.Recipient{Address: to, Original: to})
			}
		}
	}
	postmaster := addr.Address{Local: "postmaster", Domain: s.o.Hostname}
	if env.Sender.IsNull() {
		env.Sender = postmaster
	}
	if len(env.Recipients) == 0 {
		env.Recipients = []envelope.Recipient{{Address: postmaster, Original: postmaster}} // a report is about somebody
	}
}

// troubles are the messages in taken that could not go into the queue: since when this process knows it, and when each is
// tried again. Nothing of it is on disk; a start tries all. Safe for concurrent use.
type troubles struct {
	mu  sync.Mutex
	all map[string]*trouble
}

type trouble struct {
	since, next time.Time
	wait        time.Duration
}

// since is when a message had its first trouble.
func (t *troubles) since(name string, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.all[name]; one != nil {
		return one.since
	}
	return now
}

// again notes trouble, and says how long the message waits: twice as long as before.
func (t *troubles) again(name string, now time.Time, shortest, longest time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.all[name]
	if one == nil {
		one = &trouble{since: now}
		t.all[name] = one
	}
	one.wait = min(max(2*one.wait, shortest), max(longest, shortest))
	one.next = now.Add(one.wait)
	return one.wait
}

// due says that a message is to be tried. One whose turn is further away than it was to wait has a clock that was ahead.
func (t *troubles) due(name string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.all[name]
	return one == nil || !now.Before(one.next) || one.next.Sub(now) > one.wait
}

func (t *troubles) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, name)
}

// keep forgets all but these.
func (t *troubles) keep(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := make(map[string]*trouble, min(len(names), len(t.all)))
	for _, name := range names {
		if one := t.all[name]; one != nil {
			kept[name] = one
		}
	}
	t.all = kept
}

func (t *troubles) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

// Waiting is how many messages were tried and stay in the folder, and Expired how many were given up since the start.
func (s *Service) Waiting() int { return s.troubles.count() }

// Expired is described at Waiting.
func (s *Service) Expired() int64 { return s.expired.Load() }
