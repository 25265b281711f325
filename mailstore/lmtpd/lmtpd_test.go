package lmtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/testkit/transcript"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a daemon on a real store.
type bed struct {
	store *mailstore.Store
	log   logtest.Buffer
	tcp   string
	unix  string
	root  string
	fs    *faultfs.Faults
	// plan is for every message, set before the first.
	plan plan.Planner
}

func hosted(t testing.TB) *directory.Directory {
	t.Helper()
	full := static.Box("full@example.test", "")
	full.Mailbox.QuotaBytes = 10
	off := static.Box("off@example.test", "")
	off.Mailbox.Enabled = false
	accounts := []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", ""), full, off}
	for i := range 50 {
		accounts = append(accounts, static.Box(fmt.Sprintf("user%d@example.test", i), ""))
	}
	d, err := static.New(static.Data{
		Domains:  append(static.Hosted("example.test"), directory.Domain{Name: "alias.test", AliasOf: "example.test", Enabled: true}),
		Accounts: accounts, Delimiters: "+",
		Aliases: map[string][]string{
			"list@example.test": {"alice@example.test"}, "bob@example.test": {"bob@example.test", "alice@example.test"},
		},
		Relocated: map[string]string{"moved@example.test": "new@elsewhere.test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newBed(t *testing.T, d *directory.Directory, options ...func(*configs.LMTPD, *service.Limits)) *bed {
	t.Helper()
	b := &bed{root: t.TempDir(), fs: faultfs.Wrap(vfs.OS{}), plan: plan.ToInbox}
	cfg := configs.Default()
	cfg.LMTPD.Concurrency = 4
	cfg.Store.SpoolMemory = 4 << 10
	limits := service.Limits{DrainTimeout: cfg.LMTPD.DrainTimeout}
	for _, set := range options {
		set(&cfg.LMTPD, &limits)
	}
	log := msglog.New(slog.NewTextHandler(&b.log, nil))
	store, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: b.root, FS: b.fs, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "mx.test", Store: cfg.Store,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.store = store
	daemon := New(Options{
		Params: cfg.LMTPD, Hostname: "mx.test", Directory: d, Store: store, Log: log, Clock: clock.System{},
		Plan: plan.New(plan.Options{
			Store: store, Params: cfg.Store, Log: log,
			Plan: func(ctx context.Context, m *plan.Message) ([]plan.Action, error) { return b.plan(ctx, m) },
		}),
	})
	b.unix = filepath.Join(t.TempDir(), "lmtp.sock")
	unix, err := service.Listen("unix:"+b.unix, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.tcp = tcp.Addr().String()
	server := &service.Server{
		ServiceName: "lmtpd", Handler: daemon.Handler(), Limits: limits, Log: log, Clock: clock.System{},
		Listeners: []service.Listener{{Listener: unix}, {Listener: tcp}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, store.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// inbox returns the texts in a user's INBOX.
func (b *bed) inbox(t *testing.T, user string) []string {
	t.Helper()
	u, err := b.store.User(t.Context(), mailstore.Account{Home: "example.test/" + user})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	v, err := u.Open(t.Context(), "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var texts []string
	for seq := range v.Info().Messages {
		c, err := v.Read(t.Context(), seq+1)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(envelope.Reader(c))
		if err := errors.Join(err, c.Close()); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

const dialogue = `S: 220 mx.test LMTP ready
C: LHLO client.test
S: 250-mx.test
S: 250-PIPELINING
S: 250-SIZE*
S: 250-ENHANCEDSTATUSCODES
S: 250-8BITMIME
S: 250-SMTPUTF8
S: 250 CHUNKING
C: MAIL FROM:<s@elsewhere.test> RET=HDRS
S: 555 5.5.4 Unsupported parameter RET
C: MAIL FROM:<s@elsewhere.test>
C: RCPT TO:<alice@example.test> NOTIFY=SUCCESS
S: 250 2.1.0 Ok
S: 555 5.5.4 Unsupported parameter NOTIFY
C: RSET
S: 250 2.0.0 Ok
C: MAIL FROM:<s@elsewhere.test>
C: RCPT TO:<alice@example.test>
C: RCPT TO:<Bob+news@example.test>
C: RCPT TO:<full@example.test>
C: RCPT TO:<nobody@example.test>
C: RCPT TO:<x@elsewhere.test>
C: RCPT TO:<moved@example.test>
C: RCPT TO:<off@example.test>
C: RCPT TO:<list@example.test>
C: DATA
S: 250 2.1.0 Ok
S: 250 2.1.5 Ok
S: 250 2.1.5 Ok
S: 250 2.1.5 Ok
S: 550 5.1.1 User unknown
S: 550 5.1.1 User unknown
S: 551 5.1.6 User has moved; please try <new@elsewhere.test>
S: 550 5.2.1 Mailbox is disabled
S: 550 5.1.1 User unknown: the address is an alias and has no mailbox
S: 354 *
C: Subject: x
C> \r\n..body\r\n.\r\n
S: 250 2.0.0 Saved
S: 250 2.0.0 Saved
S: 552 5.2.2 Mailbox is full
C: QUIT
S: 221 2.0.0 Bye
S: <end>
`

func TestAnAnswerForEachRecipient(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, hosted(t))
			transcript.Run(t, "lmtp", dialogue, transcript.Options{Dial: func(t *testing.T, _ string) net.Conn {
				return b.dial(t, network)
			}})
			for user, to := range map[string]string{"alice": "alice@example.test", "bob": "Bob+news@example.test"} {
				want := regexp.MustCompile(`^Return-Path: <s@elsewhere\.test>\nDelivered-To: ` + regexp.QuoteMeta(to) +
					`\nReceived: from client\.test \(localhost \[` + map[string]string{"tcp": `127\.0\.0\.1`, "unix": "local"}[network] +
					`\]\)\n\tby mx\.test \(Toastmaster\) with LMTP id \w+\n\tfor <` + regexp.QuoteMeta(to) +
					`>; \w{3}, \d+ \w{3} \d{4} [\d:]{8} [+-]\d{4}\nSubject: x\n\n\.body\n$`)
				if got := b.inbox(t, user); len(got) != 1 || !want.MatchString(got[0]) {
					t.Errorf("%s: %q", user, got)
				}
			}
			if log := b.log.String(); strings.Count(log, "msg=stored service=lmtpd session=") != 2 ||
				!strings.Contains(log, "mailbox=alice@example.test folder=INBOX") || strings.Count(log, "msg=reject") != 6 {
				t.Error(log)
			}
		})
	}
}

// TestOneCopyForOneAddress: an address that is given more than once, or in
// another case, or in an alias domain, gets one copy and an answer each time.
func TestOneCopyForOneAddress(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	transcript.Run(t, "same", readDialogue(t, "same-mailbox-twice"), transcript.Options{
		Dial: func(t *testing.T, _ string) net.Conn { return b.dial(t, "tcp") },
	})
	for user, want := range map[string][]string{
		"alice": {"ALICE@alias.test", "alice+x@alias.test", "alice@alias.test"}, "bob": {"bob@alias.test"},
	} {
		var to []string
		for _, text := range b.inbox(t, user) {
			head, _, _ := strings.Cut(text, "\nReceived:")
			_, address, _ := strings.Cut(head, "Delivered-To: ")
			to = append(to, address)
		}
		slices.Sort(to)
		if !slices.Equal(to, want) {
			t.Errorf("%s got mail for %q, want %q", user, to, want)
		}
	}
	if log := b.log.String(); strings.Count(log, "msg=stored service=lmtpd") != 4 {
		t.Error(log)
	}
}

// TestDialogues runs testdata/dialogues, each on a server of its own; that of plans.txt has
// plans for extensions.
func TestDialogues(t *testing.T) {
	t.Parallel()
	transcript.RunDir(t, filepath.Join("testdata", "dialogues"), transcript.Options{
		Host: func(t *testing.T, name string) func() net.Conn {
			b := newBed(t, hosted(t))
			if name == "plans" {
				b.planByExtension()
			}
			return func() net.Conn { return b.dial(t, "tcp") }
		},
	})
}

// readDialogue reads a dialogue of testdata/dialogues.
func readDialogue(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "dialogues", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (b *bed) dial(t *testing.T, network string) net.Conn {
	t.Helper()
	address := b.tcp
	if network == "unix" {
		address = b.unix
	}
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDirectoryDown(t *testing.T) {
	t.Parallel()
	b := newBed(t, static.Broken{Outcome: directory.Unavailable}.Directory())
	transcript.Run(t, "down", "S: 220 *\nC: LHLO c\nS: ...\nS: 250 CHUNKING\nC: MAIL FROM:<>\nS: 250 *\n"+
		"C: RCPT TO:<alice@example.test>\nS: 451 4.3.0 Temporary lookup failure\nC: QUIT\nS: 221 *\n",
		transcript.Options{Dial: func(t *testing.T, _ string) net.Conn { return b.dial(t, "tcp") }})
}

// TestAPanicIsOneRecipients: what panics about one recipient is a temporary
// answer for it; the others, and the session, go on.
func TestAPanicIsOneRecipients(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	b.fs.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Mkdir && strings.Contains(name, "example.test/bob") {
			panic("the disk is on fire")
		}
		return nil
	})
	transcript.Run(t, "panic", "S: 220 *\nC: LHLO c\nS: ...\nS: 250 CHUNKING\nC: MAIL FROM:<>\nS: 250 *\n"+
		"C: RCPT TO:<alice@example.test>\nS: 250 *\nC: RCPT TO:<bob@example.test>\nS: 250 *\n"+
		"C: DATA\nS: 354 *\nC: Subject: x\nC: \nC: .\nS: 250 2.0.0 Saved\nS: 451 4.3.0 *\n"+
		"C: MAIL FROM:<>\nS: 250 *\nC: QUIT\nS: 221 *\n",
		transcript.Options{Dial: func(t *testing.T, _ string) net.Conn { return b.dial(t, "tcp") }})
	if log := b.log.String(); strings.Count(log, "msg=panic service=lmtpd session=") != 1 || strings.Count(log, "msg=stored") != 1 {
		t.Error(log)
	}
	b.fs.Hook(nil)
}

// TestALargeMessageIsLinked: for one recipient the file it was received in gets
// its name in the Maildir, header of the delivery included.
func TestALargeMessageIsLinked(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	var copies atomic.Int32
	b.fs.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Create && filepath.Base(name) == "tmp" {
			copies.Add(1)
		}
		return nil
	})
	c := smtp.NewClientLMTP(b.dial(t, "tcp"))
	defer c.Close()
	body := "Subject: big\r\n\r\n" + strings.Repeat("line of a large message\r\n", 4000)
	for i, to := range [][]string{{"user1"}, {"user1", "user2"}} {
		if err := c.Mail("", nil); err != nil {
			t.Fatal(err)
		}
		for _, user := range to {
			if err := c.Rcpt(user+"@example.test", nil); err != nil {
				t.Fatal(err)
			}
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
		if _, err := w.CloseWithLMTPResponse(); err != nil {
			t.Fatal(err)
		}
		if n := copies.Load(); n != int32(2*i) {
			t.Errorf("%v: %d copies", to, n)
		}
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	for _, got := range b.inbox(t, "user1") {
		if !strings.HasPrefix(got, "Return-Path: <>\nDelivered-To: user1@example.test\nReceived: from ") ||
			!strings.HasSuffix(got, "\nSubject: big\n\n"+strings.ReplaceAll(body[16:], "\r\n", "\n")) || strings.Count(got, "Return-Path") != 1 {
			t.Errorf("%.300q", got)
		}
	}
}

// TestManyRecipientsAndALargeMessage uses go-smtp's client, a content that
// lies in a file, and more recipients than deliver at once.
func TestManyRecipientsAndALargeMessage(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	c := smtp.NewClientLMTP(b.dial(t, "unix"))
	defer c.Close()
	if err := c.Mail("", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := c.Rcpt(fmt.Sprintf("user%d@example.test", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	body := "Subject: big\r\n\r\n" + strings.Repeat("line of a large message\r\n", 4000)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	responses, err := w.CloseWithLMTPResponse()
	if err != nil || len(responses) != 50 {
		t.Fatalf("%d answers, %v", len(responses), err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(body, "\r\n", "\n")
	for i := range 50 {
		got := b.inbox(t, fmt.Sprintf("user%d", i))
		head := fmt.Sprintf("Return-Path: <>\nDelivered-To: user%d@example.test\nReceived: from ", i)
		if len(got) != 1 || !strings.HasPrefix(got[0], head) || !strings.HasSuffix(got[0], "\n"+want) {
			t.Errorf("user%d: %d messages", i, len(got))
		}
	}
	left, err := os.ReadDir(b.store.Spool().Path)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the spool: %v %v", left, err)
	}
}

// TestADeliveryInTheLog has what finds it again: the UID in the folder, and the
// message's own ID, also in a field of two lines.
func TestADeliveryInTheLog(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	for _, id := range []string{"Message-ID: <one@x.test>", "message-id:\r\n <two@x.test>", "Subject: none"} {
		c := smtp.NewClientLMTP(b.dial(t, "tcp"))
		if err := errors.Join(c.Mail("", nil), c.Rcpt("alice@example.test", nil)); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, id+"\r\n\r\nx\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Close(), c.Quit()); err != nil {
			t.Fatal(err)
		}
	}
	log := b.log.String()
	for _, want := range []string{"uid=1 size=", "message_id=<one@x.test>", "uid=2 size=", "message_id=<two@x.test>", "uid=3 size="} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	if strings.Count(log, "message_id=") != 2 {
		t.Error(log)
	}
}
