package pickup

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/vfs"
)

const lifetime = 5 * 24 * time.Hour

// each sweeps every minute until the time is over, and counts how often the queue was asked.
func each(t *testing.T, s *Service, now *clocktest.Clock, over time.Duration, asked *int) []time.Duration {
	t.Helper()
	var at []time.Duration
	for past := time.Duration(0); past <= over; past += time.Minute {
		before := *asked
		if err := s.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if *asked > before {
			at = append(at, past)
		}
		now.Advance(time.Minute)
	}
	return at
}

// TestWhatIsRefusedForNowHasAnEnd: a message that the queue does not take is tried at growing distances; when it is as old
// as a queued one may become its sender gets it back, and the file is set aside.
func TestWhatIsRefusedForNowHasAnEnd(t *testing.T) {
	t.Parallel()
	asked := 0
	q := &fakeQueue{refuse: func(*envelope.Submission) error { asked++; return dsn.New(dsn.Misconfigured, "too many") }}
	now := clocktest.New(time.Now())
	s := newService(t, q, func(o *Options) { o.Clock = now })
	put(t, s, maildrop.Message{Sender: "a@b.test"}, "Subject: x\n\nkept\n")
	at := each(t, s, now, lifetime-time.Hour, &asked)
	if want := []time.Duration{0, time.Minute, 3 * time.Minute, 7 * time.Minute, 15 * time.Minute}; len(at) < 100 || len(at) > 120 || !slices.Equal(at[:5], want) {
		t.Errorf("%d attempts in five days, the first at %v", len(at), at[:min(len(at), 5)])
	}
	if s.Waiting() != 1 || len(q.reports) != 0 || len(list(t, s, maildrop.Taken)) != 1 {
		t.Errorf("%d wait, %d reports, %q", s.Waiting(), len(q.reports), list(t, s, maildrop.Taken))
	}
	q.noReports = true
	each(t, s, now, 3*time.Hour, &asked)
	if len(list(t, s, maildrop.Taken)) != 1 || s.Expired() != 0 {
		t.Errorf("it is gone, and nobody was told: %q", list(t, s, maildrop.Bad))
	}
	q.noReports = false
	each(t, s, now, 3*time.Hour, &asked)
	if len(q.reports) != 1 || len(list(t, s, maildrop.Taken)) != 0 || len(list(t, s, maildrop.Bad)) != 1 || s.Expired() != 1 || s.Waiting() != 0 {
		t.Fatalf("%d reports, taken %q, bad %q, %d expired, %d wait", len(q.reports), list(t, s, maildrop.Taken), list(t, s, maildrop.Bad), s.Expired(), s.Waiting())
	}
	r := q.reports[0]
	if e := r.Recipients[0].Err; r.Envelope.Sender.String() != "a@b.test" || e.Status.String() != "4.4.7" || e.Text != "Delivery time expired; last reason: too many" || q.returned[0] != "Subject: x\n\nkept\n" {
		t.Errorf("%+v %v %q", r.Envelope, e, q.returned)
	}
	// What lies in bad is the message: under its own name it is handed in once more.
	name := list(t, s, maildrop.Bad)[0]
	_, own, _ := strings.Cut(name, ".")
	q.refuse = nil
	if err := s.o.FS.Rename(s.path(maildrop.Bad, name), s.path(maildrop.Drop, "m"+own)); err != nil {
		t.Fatal(err)
	}
	if err := s.sweep(t.Context()); err != nil || !slices.Equal(q.order, []string{"Subject: x\n\nkept\n"}) {
		t.Errorf("%v %q", err, q.order)
	}
}

// TestWhoHearsOfIt: the postmaster where there is no sender, the owner where it was never decided whether he may, nobody of what
// cannot be read. A full disk is nobody's.
func TestWhoHearsOfIt(t *testing.T) {
	t.Parallel()
	refused := func(*envelope.Submission) error { return dsn.New(dsn.MailSystem, "not now") }
	for name, c := range map[string]struct {
		m        maildrop.Message
		refuse   func(*envelope.Submission) error
		set      func(*Options)
		old      time.Duration // how old the file is
		told     string        // "owner", "" for nobody
		stays    bool
		howOften int
	}{
		"null sender":        {refuse: refused, told: "postmaster@mx.test"},
		"written later":      {m: maildrop.Message{Sender: "a@b.test"}, refuse: refused, old: -1000 * time.Hour, told: "a@b.test"},
		"a table is down":    {m: maildrop.Message{Sender: "a@b.test"}, set: func(o *Options) { o.Params.SubmitUsers = []string{"socketmap:unix:/nowhere:x"} }, told: "owner"},
		"a panic":            {m: maildrop.Message{Sender: "a@b.test"}, refuse: func(*envelope.Submission) error { panic("odd") }, told: "a@b.test"},
		"a full disk":        {refuse: func(*envelope.Submission) error { return dsn.New(dsn.SystemFull, "full") }, stays: true},
		"cannot be read":     {set: func(o *Options) { o.FS = unreadable(o.FS) }},
		"is not to be known": {set: func(o *Options) { o.FS = unopened(o.FS) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &fakeQueue{refuse: c.refuse}
			now := clocktest.New(time.Now())
			s := newService(t, q, func(o *Options) {
				o.Clock = now
				if c.set != nil {
					c.set(o)
				}
			})
			put(t, s, c.m, "kept\n")
			drop := s.path(maildrop.Drop, list(t, s, maildrop.Drop)[0])
			if at := now.Now().Add(-c.old); c.old != 0 {
				if err := s.o.FS.Chtimes(drop, at, at); err != nil {
					t.Fatal(err)
				}
			}
			for range int((lifetime + 3*time.Hour) / (4000 * time.Second)) {
				_ = s.sweep(t.Context()) // a full disk is its error
				now.Advance(4000 * time.Second)
			}
			var told []string
			for _, r := range q.reports {
				told = append(told, r.Envelope.Sender.String())
			}
			if c.told == "owner" {
				u, err := userOf(statusOfOwn(t, s))
				if err != nil {
					t.Fatal(err)
				}
				c.told = u.address("mx.test").String()
			}
			var want []string
			if c.told != "" {
				want = []string{c.told}
			}
			left, bad := len(list(t, s, maildrop.Taken)), len(list(t, s, maildrop.Bad))
			if !slices.Equal(told, want) || (left == 1) != c.stays || (bad == 1) == c.stays || (s.Expired() == 1) == c.stays {
				t.Errorf("told %q, want %q; %d left, %d set aside, %d expired", told, want, left, bad, s.Expired())
			}
		})
	}
}

// statusOfOwn is who owns what this process makes.
func statusOfOwn(t *testing.T, s *Service) int {
	t.Helper()
	info, err := s.o.FS.Lstat(filepath.Join(s.path(maildrop.Bad), list(t, s, maildrop.Bad)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return statusOf(info).uid
}

// unreadable has files of taken whose octets the disk does not give, unopened such as cannot be opened.
func unreadable(inner vfs.FS) vfs.FS { return failing(inner, faultfs.Read) }

func unopened(inner vfs.FS) vfs.FS { return failing(inner, faultfs.Open) }

func failing(inner vfs.FS, fails faultfs.Op) vfs.FS {
	f := faultfs.Wrap(inner)
	f.Hook(func(op faultfs.Op, name string) error {
		if op == fails && strings.Contains(name, "/"+maildrop.Taken+"/") {
			return faultfs.EIO
		}
		return nil
	})
	return f
}

// TestAFullBadKeepsWhatNobodyWasToldOf: a message that cannot be read stays where it is while there is no room in bad.
func TestAFullBadKeepsWhatNobodyWasToldOf(t *testing.T) {
	t.Parallel()
	q := &fakeQueue{}
	now := clocktest.New(time.Now())
	s := newService(t, q, func(o *Options) { o.Clock, o.FS, o.Lifetime = now, unreadable(o.FS), 0 })
	for n := range mostBad {
		f, err := s.o.FS.OpenFile(s.path(maildrop.Bad, "x"+strings.Repeat("y", n%100)+string(q.NewID())), 0x41, 0o600)
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	put(t, s, maildrop.Message{Own: true}, "kept\n")
	if err := s.sweep(t.Context()); err != nil || len(list(t, s, maildrop.Taken)) != 1 {
		t.Errorf("%v %q", err, list(t, s, maildrop.Taken))
	}
}

// TestAFolderAmongTheMessages: a folder with a message's name, which who is not root cannot move, is in the log once, and holds
// up nobody; one that is empty is removed. So is a message that cannot be taken, which stays.
func TestAFolderAmongTheMessages(t *testing.T) {
	t.Parallel()
	q, log := &fakeQueue{}, &logtest.Buffer{}
	name := func(c string) string { return "m" + strings.Repeat(c, 32) }
	s := newService(t, q, func(o *Options) {
		f := faultfs.Wrap(o.FS)
		f.Hook(func(op faultfs.Op, path string) error {
			if op == faultfs.Rename && (filepath.Base(path) == name("a") || filepath.Base(path) == name("c")) {
				return &fs.PathError{Op: "rename", Path: path, Err: fs.ErrPermission}
			}
			return nil
		})
		o.FS, o.Log = f, msglog.New(slog.NewTextHandler(log, nil))
	})
	for _, dir := range []string{name("a"), name("a") + "/x", name("b")} {
		if err := s.o.FS.Mkdir(s.path(maildrop.Drop, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := s.o.FS.OpenFile(s.path(maildrop.Drop, name("c")), 0x41, 0o600); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	put(t, s, maildrop.Message{Own: true}, "one\n")
	for range 3 {
		if err := s.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(q.order) != 1 || !slices.Equal(list(t, s, maildrop.Drop), []string{name("a"), name("c")}) {
		t.Errorf("%q, left %q", q.order, list(t, s, maildrop.Drop))
	}
	if n := strings.Count(log.String(), "folder of pickup"); n != 2 || !strings.Contains(log.String(), "foreign=1") || !strings.Contains(log.String(), "stuck=1") {
		t.Errorf("%d lines: %s", n, log)
	}
}

// TestAPanicOfAQuestion is the trouble of the recipient it was about.
func TestAPanicOfAQuestion(t *testing.T) {
	t.Parallel()
	q := &fakeQueue{}
	s := newService(t, q, func(o *Options) {
		o.Verify = func(_ context.Context, a addr.Address) Verdict {
			if a.Local == "odd" {
				panic("odd")
			}
			return Verdict{Text: "deliverable"}
		}
	})
	put(t, s, maildrop.Message{Own: true, Trace: maildrop.TraceVerify, Recipients: []maildrop.Recipient{{Address: "bob"}, {Address: "odd"}}}, "")
	if err := errors.Join(s.sweep(t.Context())); err != nil || len(q.reports) != 1 {
		t.Fatalf("%v, %d reports", err, len(q.reports))
	}
	if r := q.reports[0].Recipients; r[0].Text != "deliverable" || r[0].Err != nil || r[1].Err == nil || !r[1].Err.Temporary() {
		t.Errorf("%+v", r)
	}
}
