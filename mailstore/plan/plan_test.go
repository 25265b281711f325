package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outbox is an envelope.Submitter that keeps what it gets.
type outbox struct {
	mu   sync.Mutex
	sent []string
	fail error
}

func (o *outbox) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	text, err := io.ReadAll(envelope.Reader(s.Content))
	if err := errors.Join(err, s.Content.Close()); err != nil {
		return "", err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return "", o.fail
	}
	var to []string
	for _, r := range s.Envelope.Recipients {
		to = append(to, r.Address.String())
	}
	o.sent = append(o.sent, fmt.Sprintf("%s %s %s -> %s %q", s.Envelope.Origin.Source, s.Envelope.EnvID, s.Envelope.Sender.Path(), strings.Join(to, ","), text))
	return envelope.QueueID(fmt.Sprint("Q", len(o.sent))), nil
}

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// bed is a store with an executor of one plan.
type bed struct {
	t     testing.TB
	store *mailstore.Store
	out   *outbox
	x     *Executor
}

func options(t testing.TB, root string, fsys vfs.FS) mailstore.Options {
	c := configs.Default().Store
	c.JournalSegment, c.Reserve = 64<<10, 64<<10 // memory, in most of the tests
	c.CheckpointInterval = time.Hour             // nothing in the background
	return mailstore.Options{
		Root: root, FS: fsys, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "mail.test", Store: c, Namespaces: storetest.Namespaces(t),
	}
}

func newBed(t testing.TB, planner Planner) *bed {
	t.Helper()
	o := options(t, t.TempDir(), vfs.OS{})
	store, err := mailstore.Open(t.Context(), o)
	check(t, err)
	b := &bed{t: t, store: store, out: &outbox{}}
	b.x = New(Options{Store: store, Plan: planner, Params: o.Store, Submit: b.out, Spool: store.Spool(), Log: msglog.Discard()})
	t.Cleanup(func() { check(t, store.Close()) })
	return b
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// planOf is the plan of these actions.
func planOf(actions ...Action) Planner {
	return func(context.Context, *Message) ([]Action, error) { return actions, nil }
}

const text = "From: s@remote.test\nSubject: hi\nMessage-ID: <1@remote.test>\n\nbody\n"

// message is one for alice, as virtual makes it.
func message(t testing.TB, id string) *Message {
	return &Message{
		Account: storetest.Account(t, "alice"), From: address(t, "s@remote.test"), To: address(t, "alice+x@example.test"), ID: id, Date: time.Unix(1e9, 0),
		Prefix: []byte("Return-Path: <s@remote.test>\nDelivered-To: alice+x@example.test\n"), Content: envelope.Memory(text),
	}
}

// mail lists what the mailboxes of an account hold: folder, flags, subject.
func mail(t testing.TB, s *mailstore.Store, name string) string {
	t.Helper()
	u, err := s.User(t.Context(), storetest.Account(t, name))
	check(t, err)
	folders, err := u.List(t.Context())
	check(t, err)
	var all []string
	for _, f := range folders {
		if f.NoSelect {
			continue
		}
		st, err := u.Status(t.Context(), f.Name)
		check(t, err)
		if st.Messages == 0 {
			continue
		}
		v, err := u.Open(t.Context(), f.Name, true)
		check(t, err)
		for seq := range v.Len() {
			all = append(all, fmt.Sprint(f.Name, v.Message(uint32(seq+1)).Flags))
		}
		check(t, v.Close())
	}
	check(t, u.Close())
	return strings.Join(all, " ")
}

func (b *bed) deliver(m *Message) (*Outcome, *dsn.Error) { return b.x.Deliver(b.t.Context(), m) }

func TestPlans(t *testing.T) {
	t.Parallel()
	seen, work := []imap.Flag{imap.FlagSeen}, []imap.Flag{"work", imap.FlagFlagged}
	bob, carol := Redirect{address(t, "bob@elsewhere.test")}, Redirect{address(t, "carol@elsewhere.test")}
	answer := Vacation{envelope.Memory("Subject: away\n\n")}
	for _, c := range []struct {
		name    string
		actions []Action
		mail    string
		sent    []string
		text    string
	}{
		{"nothing", nil, "INBOX[]", nil, "delivered to maildir"},
		{"keep", []Action{Keep{}}, "INBOX[]", nil, "delivered to maildir"},
		{"only flags", []Action{Flags{mailstore.FlagsAdd, seen}}, `INBOX[\Seen]`, nil, "delivered to maildir"},
		{"fileinto", []Action{FileInto{Mailbox: "Junk"}}, "Junk[]", nil, "delivered to maildir"},
		{"fileinto and keep", []Action{FileInto{Mailbox: "Junk"}, Keep{}}, "INBOX[] Junk[]", nil, "delivered to maildir"},
		{"inbox is inbox", []Action{FileInto{Mailbox: "inbox", Flags: seen}, Keep{Flags: work}}, `INBOX[\Flagged \Seen work]`, nil, "delivered to maildir"},
		{"twice the same", []Action{FileInto{Mailbox: "Junk"}, FileInto{Mailbox: "Junk", Flags: seen}}, `Junk[\Seen]`, nil, "delivered to maildir"},
		{"not there", []Action{FileInto{Mailbox: "New/Sub"}}, "INBOX[]", nil, "delivered to maildir"},
		{"not there, beside keep", []Action{FileInto{Mailbox: "New"}, Keep{}, FileInto{Mailbox: "Other"}}, "INBOX[]", nil, "delivered to maildir"},
		{"two names of one", []Action{FileInto{Mailbox: "inbox/x", Create: true}, FileInto{Mailbox: "INBOX/x", Create: true}}, "INBOX/x[]", nil, "delivered to maildir"},
		{"made", []Action{FileInto{Mailbox: "New/Sub", Create: true}, FileInto{Mailbox: "Junk", Create: true}}, "Junk[] New/Sub[]", nil, "delivered to maildir"},
		{"no name", []Action{FileInto{Mailbox: "../bob", Create: true}}, "INBOX[]", nil, "delivered to maildir"},
		{"no right", []Action{FileInto{Mailbox: "Public/INBOX", Create: true}}, "INBOX[]", nil, "delivered to maildir"},
		{"flags", []Action{
			Flags{mailstore.FlagsSet, work}, FileInto{Mailbox: "Junk"}, Flags{mailstore.FlagsRemove, []imap.Flag{"WORK"}}, FileInto{Mailbox: "Sent"},
			Flags{mailstore.FlagsAdd, seen}, Keep{}, FileInto{Mailbox: "Trash", Flags: []imap.Flag{}},
		}, `INBOX[\Flagged \Seen] Junk[\Flagged work] Sent[\Flagged] Trash[]`, nil, "delivered to maildir"},
		{"discard", []Action{Discard{}}, "", nil, "discarded"},
		{"discard beside keep", []Action{Discard{}, Keep{}}, "INBOX[]", nil, "delivered to maildir"},
		{"redirect", []Action{bob, carol, bob}, "", []string{"redirect " + message(t, "3Q1").id("redirect", "bob@elsewhere.test carol@elsewhere.test") +
			" <s@remote.test> -> bob@elsewhere.test,carol@elsewhere.test " + fmt.Sprintf("%q", "Delivered-To: alice+x@example.test\n"+text)}, "redirected to 2 addresses"},
		{"redirect to oneself", []Action{Redirect{address(t, "ALICE+x@example.test")}, Redirect{address(t, "alice@example.test")}}, "INBOX[]", nil, "delivered to maildir"},
		{"answer", []Action{answer}, "INBOX[]", []string{"vacation " + message(t, "3Q1").id("vacation", "s@remote.test") + ` <> -> s@remote.test "Subject: away\n\n"`}, "delivered to maildir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, planOf(c.actions...))
			if c.sent == nil {
				// By LMTP there is no ID that hides a second copy.
				if _, err := b.deliver(message(t, "")); err != nil || mail(t, b.store, "alice") != c.mail {
					t.Errorf("without an ID %s, %v", mail(t, b.store, "alice"), err)
				}
				b = newBed(t, planOf(c.actions...))
			}
			m := message(t, "3Q1")
			for range 2 { // the second time as after a crash
				b.out.sent = nil
				out, err := b.deliver(m)
				if err != nil || out.Text() != c.text || out.Durable != (c.sent != nil) {
					t.Fatalf("%+v %v", out, err)
				}
				if got := mail(t, b.store, "alice"); got != c.mail {
					t.Errorf("%s, want %s", got, c.mail)
				}
				if !slices.Equal(b.out.sent, c.sent) {
					t.Errorf("sent %q, want %q", b.out.sent, c.sent)
				}
				m.Replay = true
			}
		})
	}
}

// TestRedirectionOfASpooledMessage: a large one, as lmtpd writes it for one recipient,
// with all that the final delivery puts on top in its content.
func TestRedirectionOfASpooledMessage(t *testing.T) {
	t.Parallel()
	b := newBed(t, planOf(Keep{}, FileInto{Mailbox: "Junk"}, Redirect{address(t, "bob@elsewhere.test")}))
	rest := "Delivered-To: alice+x@example.test\nReceived: by x\n" + text + strings.Repeat("line\n", 100_000)
	for _, first := range []string{"Return-Path: <s@remote.test>\n", ""} {
		m := message(t, "")
		buf := b.store.Spool().New()
		_, err := io.WriteString(buf, first+rest)
		check(t, err)
		if _, inMemory := buf.Bytes(); inMemory {
			t.Fatal("it is not spooled")
		}
		m.Prefix, m.Content = nil, buf
		if _, err := b.deliver(m); err != nil {
			t.Fatal(err)
		}
		check(t, buf.Close())
		if want := fmt.Sprintf("redirect  <s@remote.test> -> bob@elsewhere.test %q", rest); len(b.out.sent) != 1 || b.out.sent[0] != want {
			t.Errorf("%.200q", b.out.sent)
		}
		b.out.sent = nil
	}
	if got := mail(t, b.store, "alice"); got != "INBOX[] INBOX[] Junk[] Junk[]" {
		t.Errorf("%s", got)
	}
}

// TestFiledForOthers: what the owner may put into a mailbox of others is filed there.
func TestFiledForOthers(t *testing.T) {
	t.Parallel()
	b := newBed(t, planOf(FileInto{Mailbox: "Public/Notes", Flags: []imap.Flag{imap.FlagSeen, imap.FlagFlagged}}))
	u, err := b.store.User(t.Context(), storetest.Account(t, "public"))
	check(t, err)
	check(t, u.Create(t.Context(), "Notes", ""))
	check(t, u.Close())
	out, failed := b.deliver(message(t, "3Q1"))
	if failed != nil || out.Stored[0].Folder != "Public/Notes" {
		t.Fatalf("%+v %v", out, failed)
	}
	if got := mail(t, b.store, "alice") + mail(t, b.store, "public"); got != `Notes[\Seen]` {
		t.Errorf("%s", got)
	}
}

// TestTheNullSenderGetsNoAnswer and a redirection of a report asks for none.
func TestTheNullSenderGetsNoAnswer(t *testing.T) {
	t.Parallel()
	b := newBed(t, planOf(Vacation{envelope.Memory("x")}, Redirect{address(t, "bob@elsewhere.test")}))
	m := message(t, "3Q1")
	m.From = addr.Address{}
	if _, err := b.deliver(m); err != nil {
		t.Fatal(err)
	}
	if len(b.out.sent) != 1 || !strings.Contains(b.out.sent[0], " <> -> bob@elsewhere.test ") {
		t.Errorf("%q", b.out.sent)
	}
}

func TestRefusedPlans(t *testing.T) {
	t.Parallel()
	many := slices.Repeat([]Action{Keep{}}, 33)
	var redirects []Action
	for i := range 5 {
		redirects = append(redirects, Redirect{address(t, fmt.Sprintf("u%d@elsewhere.test", i))})
	}
	for _, c := range []struct {
		name string
		plan Planner
		want string
	}{
		{"reject", planOf(Reject{"Not here:\r\n\x1b[31mgo away"}), "550 5.7.1 Not here:???[31mgo away"},
		{"reject without a word", planOf(Reject{}, Discard{}), "550 5.7.1 Message refused by the recipient"},
		{"reject and keep", planOf(Reject{"no"}, Keep{}), "451 4.3.5 Delivery rules cannot be carried out"},
		{"reject and answer", planOf(Vacation{envelope.Memory("x")}, Reject{"no"}), "451 4.3.5 Delivery rules cannot be carried out"},
		{"too many", planOf(many...), "451 4.3.5 Delivery rules cannot be carried out"},
		{"too many redirections", planOf(redirects...), "451 4.3.5 Delivery rules cannot be carried out"},
		{"no plan", func(context.Context, *Message) ([]Action, error) { return nil, errors.New("/etc/secret is broken") }, "451 4.3.0 Temporary failure, please try again later"},
		{"a planner's own", func(context.Context, *Message) ([]Action, error) { return nil, dsn.New(dsn.Misconfigured, "No") }, "451 4.3.5 No"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, c.plan)
			_, err := b.deliver(message(t, "3Q1"))
			if err == nil || fmt.Sprintf("%d %s %s", err.Reply(), err.Status, err.Text) != c.want {
				t.Errorf("%+v", err)
			}
			if got := mail(t, b.store, "alice"); got != "" || len(b.out.sent) > 0 {
				t.Errorf("%s %q", got, b.out.sent)
			}
		})
	}
}

// TestReservedRoom: the first copy takes the room that the queue has reserved, whatever
// mailbox it is for; a message that leaves no copy gives it back.
func TestReservedRoom(t *testing.T) {
	t.Parallel()
	for name, actions := range map[string][]Action{
		"kept": {Keep{}}, "filed": {FileInto{Mailbox: "Junk"}}, "sent on": {Redirect{address(t, "bob@elsewhere.test")}}, "dropped": {Discard{}}, "rejected": {Reject{"no"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, planOf(actions...))
			m := message(t, "3Q1")
			m.Account.QuotaMessages = 1
			check(t, b.store.Reserve(t.Context(), m.Account, m.ID, 100))
			if err := b.store.Fits(t.Context(), m.Account, 100); !errors.Is(err, mailstore.ErrOverQuota) {
				t.Fatal(err)
			}
			if _, err := b.deliver(m); (err != nil) != (name == "rejected") {
				t.Fatal(err)
			}
			stored := mail(t, b.store, "alice") != ""
			if err := b.store.Fits(t.Context(), m.Account, 100); stored != errors.Is(err, mailstore.ErrOverQuota) {
				t.Errorf("stored %t: %v", stored, err)
			}
		})
	}
}
