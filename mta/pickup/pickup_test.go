package pickup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
)

// fakeQueue is a queue and what reports are made of mail.
type fakeQueue struct {
	mu      sync.Mutex
	n       int
	has     map[envelope.QueueID]string
	order   []string
	refuse  func(s *envelope.Submission) error
	reports []*agent.Report
	full    bool
	// noReports fails them; returned are the contents of those that were made.
	noReports bool
	returned  []string
}

func (q *fakeQueue) NewID() envelope.QueueID {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	return envelope.QueueID(fmt.Sprintf("3%05d", q.n))
}

func (q *fakeQueue) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	text, err := io.ReadAll(envelope.Reader(s.Content))
	if err = errors.Join(err, s.Content.Close()); err != nil {
		return "", err
	}
	if q.refuse != nil {
		if err := q.refuse(s); err != nil {
			return "", err
		}
	}
	if _, twice := q.has[s.Envelope.ID]; twice {
		return "", errors.New("an ID that the queue has already")
	}
	q.has[s.Envelope.ID] = string(text)
	q.order = append(q.order, string(text))
	return s.Envelope.ID, nil
}

func (q *fakeQueue) Report(_ context.Context, r *agent.Report) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.noReports {
		return errors.New("no reports now")
	}
	if r.Content != nil {
		text, err := io.ReadAll(envelope.Reader(r.Content))
		if err != nil {
			return err
		}
		q.returned = append(q.returned, string(text))
	}
	q.reports = append(q.reports, r)
	return nil
}

func newService(t *testing.T, q *fakeQueue, set func(*Options)) *Service {
	t.Helper()
	if q.has == nil {
		q.has = map[envelope.QueueID]string{}
	}
	dir := t.TempDir()
	p := configs.Default().Pickup
	o := Options{
		Params: p, Hostname: "mx.test", Dir: filepath.Join(dir, "public"), FS: vfs.OS{}, Lifetime: 5 * 24 * time.Hour, MaximalBackoff: 4000 * time.Second, MaxMessage: 1000, Tables: tables.NewSet(tables.Options{Params: configs.Default().Lookup, Dir: dir, Log: msglog.Discard(), Clock: clock.System{}}),
		Submit: q, Reporter: q, Spool: &spool.Dir{FS: vfs.OS{}, Path: dir, Memory: 100}, NewID: q.NewID,
		Has: func(_ context.Context, id envelope.QueueID) (bool, error) {
			q.mu.Lock()
			defer q.mu.Unlock()
			_, has := q.has[id]
			return has, nil
		},
		Room: func(int64) error {
			if q.full {
				return dsn.New(dsn.SystemFull, "full")
			}
			return nil
		},
		Log: msglog.Discard(), Clock: clock.System{},
	}
	if set != nil {
		set(&o)
	}
	if err := maildrop.Make(o.Dir, os.Geteuid(), os.Getegid()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Service, m maildrop.Message, text string) {
	t.Helper()
	if m.Recipients == nil {
		m.Recipients = []maildrop.Recipient{{Address: "bob"}}
	}
	if err := maildrop.Put(s.o.FS, s.o.Dir, &m, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, s *Service, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(s.path(folder))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestWhatAKillLeaves: a file in taken whose message the queue has is removed at the start, and never handed in; one
// whose message it has not is handed in under the same ID.
func TestWhatAKillLeaves(t *testing.T) {
	t.Parallel()
	q := &fakeQueue{}
	s := newService(t, q, nil)
	put(t, s, maildrop.Message{Own: true}, "one\n")
	put(t, s, maildrop.Message{Own: true}, "two\n")
	names, _, err := s.waiting(t.Context())
	if err != nil || len(names) != 2 {
		t.Fatalf("%q %v", names, err)
	}
	taken, err := s.take(names) // and then it is killed
	if err != nil || len(taken) != 2 || len(list(t, s, maildrop.Drop)) != 0 {
		t.Fatalf("%q %v", taken, err)
	}
	first, _, _ := strings.Cut(taken[0], ".")
	q.has[envelope.QueueID(first)] = "" // killed behind the queue's answer
	again, err := Open(t.Context(), s.o)
	if err != nil || len(list(t, s, maildrop.Taken)) != 1 {
		t.Fatalf("%v, %q", err, list(t, s, maildrop.Taken))
	}
	if err := again.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, _, _ := strings.Cut(taken[1], ".")
	if len(q.order) != 1 || q.has[envelope.QueueID(second)] == "" || len(list(t, s, maildrop.Taken)) != 0 {
		t.Errorf("%q %v", q.order, q.has)
	}
}

// TestWhatTheQueueCannotTake stays, and is tried again; a full disk ends the sweep; what is refused for good is reported.
func TestWhatTheQueueCannotTake(t *testing.T) {
	t.Parallel()
	q := &fakeQueue{refuse: func(*envelope.Submission) error { return dsn.New(dsn.MailSystem, "not now") }}
	now := clocktest.New(time.Now())
	s := newService(t, q, func(o *Options) { o.Clock = now })
	put(t, s, maildrop.Message{Own: true}, "one\n")
	for range 3 {
		if err := s.sweep(t.Context()); err != nil || len(list(t, s, maildrop.Taken)) != 1 {
			t.Errorf("%v, %q", err, list(t, s, maildrop.Taken))
		}
	}
	now.Advance(time.Hour)
	before := list(t, s, maildrop.Taken)
	q.full = true
	if err := s.sweep(t.Context()); err == nil || !slices.Equal(before, list(t, s, maildrop.Taken)) {
		t.Errorf("full: %v", err)
	}
	q.full, q.refuse = false, func(*envelope.Submission) error { return dsn.New(dsn.SystemFull, "full") }
	if err := s.sweep(t.Context()); err == nil || len(list(t, s, maildrop.Taken)) != 1 {
		t.Errorf("full: %v", err)
	}
	now.Advance(time.Hour)
	q.refuse = func(*envelope.Submission) error { return dsn.New(dsn.Policy, "never") }
	if err := s.sweep(t.Context()); err != nil || len(list(t, s, maildrop.Taken)) != 0 || len(q.reports) != 1 {
		t.Fatalf("%v, %q, %d reports", err, list(t, s, maildrop.Taken), len(q.reports))
	}
	r := q.reports[0]
	if r.Envelope.Sender.Domain != "mx.test" || len(r.Recipients) != 1 || r.Recipients[0].Err.Text != "never" {
		t.Errorf("%+v", r)
	}
	q.refuse = nil
	put(t, s, maildrop.Message{Sender: "x@@"}, "x\n")
	put(t, s, maildrop.Message{Own: true}, strings.Repeat("large\n", 200))
	if err := s.sweep(t.Context()); err != nil || len(list(t, s, maildrop.Taken)) != 0 || len(q.order) != 0 || len(list(t, s, maildrop.Bad)) != 2 {
		t.Errorf("%v, %q, %q", err, q.order, list(t, s, maildrop.Bad))
	}
}

// TestUsersTakeTurns: a thousand files of one user do not hold up another's.
func TestUsersTakeTurns(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("one user alone")
		return
	}
	q := &fakeQueue{}
	s := newService(t, q, func(o *Options) { o.Params.BatchLimit = 20 })
	for n := range 300 {
		put(t, s, maildrop.Message{Own: true}, fmt.Sprintf("many %d\n", n))
	}
	put(t, s, maildrop.Message{Own: true}, "few\n")
	few := ""
	for _, name := range list(t, s, maildrop.Drop) {
		text, err := os.ReadFile(s.path(maildrop.Drop, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(string(text), "few\n") {
			few = name
			if err := os.Chown(s.path(maildrop.Drop, name), 65534, -1); err != nil {
				t.Fatal(err)
			}
		}
	}
	names, more, err := s.waiting(t.Context())
	if err != nil || !more || len(names) != 21 || few == "" || slices.Index(names, few) > 1 || !slices.Contains(names, few) {
		t.Errorf("%d names, the one at %d, %v %v", len(names), slices.Index(names, few), more, err)
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := slices.Index(q.order, "few\n"); len(q.order) != 301 || at < 0 || at > 20 { // of the first batch; which worker is first there is the scheduler's
		t.Errorf("%d messages, the one at %d", len(q.order), at)
	}
}

// TestTheEnvelope: what sendmail may say, and what is seen of the content.
func TestTheEnvelope(t *testing.T) {
	t.Parallel()
	var got *envelope.Submission
	q := &fakeQueue{refuse: func(s *envelope.Submission) error { got = s; return nil }}
	s := newService(t, q, nil)
	for _, c := range []struct {
		m     maildrop.Message
		text  string
		check func() bool
	}{
		{maildrop.Message{Sender: "a@b.test", Notify: "NEVER", Return: "HDRS", EnvID: "x y", EightBit: true}, "Subject: x\n\nx\n", func() bool {
			e := got.Envelope
			return e.Sender.String() == "a@b.test" && e.Recipients[0].Notify == envelope.NotifyNever && e.Return == envelope.ReturnHeaders && e.EnvID == "x+20y" && e.Body == envelope.Body8BitMIME && !e.UTF8 && got.Complete && got.Rewrite == envelope.RewriteLocal
		}},
		{maildrop.Message{Trace: maildrop.TraceRecord}, "", func() bool {
			return got.Envelope.Sender.IsNull() && got.Envelope.Recipients[0].Notify.Wants(envelope.NotifySuccess) && got.Envelope.Recipients[0].Notify.Wants(envelope.NotifyFailure)
		}},
		{maildrop.Message{Remote: true}, "x\n", func() bool { return !got.Complete && got.Rewrite == envelope.RewriteRemote }},
		{maildrop.Message{Own: true, Sender: "somebody@else.test"}, "Subject: caf\xc3\xa9\n\nx\n", func() bool {
			return got.Envelope.UTF8 && got.Envelope.Body == envelope.Body8BitMIME && got.Envelope.Sender.Domain == "mx.test" && got.Envelope.Auth.Equal(got.Envelope.Sender)
		}},
		{maildrop.Message{Own: true}, "Subject: caf\xe9\n\nx\n", func() bool { return !got.Envelope.UTF8 && got.Envelope.Body == envelope.Body8BitMIME }},
		{maildrop.Message{Own: true}, "\ncaf\xc3\xa9\n", func() bool { return !got.Envelope.UTF8 && got.Envelope.Body == envelope.Body8BitMIME }},
		{maildrop.Message{Own: true, Recipients: []maildrop.Recipient{{Address: "\u00fc@example.test", Notify: "SUCCESS", ORcpt: "rfc822;x"}}}, "x\n", func() bool {
			r := got.Envelope.Recipients[0]
			return got.Envelope.UTF8 && r.Notify == envelope.NotifySuccess && r.ORcpt == "rfc822;x"
		}},
	} {
		put(t, s, c.m, c.text)
		if got = nil; s.sweep(t.Context()) != nil || got == nil || !c.check() {
			t.Errorf("%+v %q: %+v", c.m, c.text, got)
		}
	}
}

// TestTheHeaderInPieces: where an octet lies is the same in whatever pieces it comes.
func TestTheHeaderInPieces(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"A: \u00fc\u20ac\nB: x\n\nx": true, "A: x\n\n\u00fc": false, "\n\u00fc": false, "A: \xfc\n\nx": false, "A: \u00fc\n": true, "A: \xc3": false, "": false, "A\n\n\n": false} {
		for cut := range len(text) + 1 {
			for second := cut; second <= len(text); second++ {
				o := &octets{w: io.Discard, header: true}
				for _, piece := range []string{text[:cut], text[cut:second], text[second:]} {
					_, _ = io.WriteString(o, piece)
				}
				if o.utf8Header() != want {
					t.Errorf("%q in %d, %d: %v", text, cut, second, !want)
				}
			}
		}
	}
}

// TestWhoMayWriteAsWhom: the patterns of local_login_sender_maps.
func TestWhoMayWriteAsWhom(t *testing.T) {
	t.Parallel()
	s := newService(t, &fakeQueue{}, func(o *Options) {
		o.Params.LoginSenderMaps = []string{"inline:{ {all=*} {own=own@mx.test,<>} {domain=@Example.Test} {local=local} {uid:77=x@y.test} }"}
	})
	for _, c := range []struct {
		who    user
		sender string
		may    bool
	}{
		{user{1, "all"}, "x@y.test", true}, {user{1, "all"}, "", true}, {user{1, "own"}, "own@mx.test", true}, {user{1, "own"}, "", true}, {user{1, "own"}, "x@mx.test", false},
		{user{1, "domain"}, "x@example.test", true}, {user{1, "domain"}, "x@sub.example.test", false}, {user{1, "domain"}, "", false}, {user{1, "local"}, "local@mx.test", true}, {user{1, "local"}, "local@y.test", false},
		{user{77, ""}, "x@y.test", true}, {user{78, ""}, "x@y.test", false}, {user{1, "other"}, "other@mx.test", false},
	} {
		var sender addr.Address
		if c.sender != "" {
			sender, _ = addr.Parse(c.sender)
		}
		if e := s.maySend(t.Context(), c.who, sender); (e == nil) != c.may || e != nil && e.Status != dsn.Policy {
			t.Errorf("%+v as %q: %v", c.who, c.sender, e)
		}
	}
}
