package cleanup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/peers"
)

// copying is a bed with these parameters.
func copying(t testing.TB, always string, sender, recipient []string) *bed {
	t.Helper()
	b := newBed(t, hosted(t))
	c := configs.Default()
	c.Rewrite.MyDestination = []string{"own.test"}
	c.Main.RecipientDelimiter = "+"
	c.Cleanup.AlwaysBCC, c.Cleanup.SenderBCCMaps, c.Cleanup.RecipientBCCMaps = always, sender, recipient
	set := tables.NewSet(tables.Options{Params: c.Lookup})
	t.Cleanup(func() { set.Close() })
	var err error
	if b.c.o.Copies, err = OpenCopies(t.Context(), c, set); err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	senders   = "inline:{ {a+x@elsewhere.test=s1@example.test}, {a@elsewhere.test=s2@example.test}, {@elsewhere.test=s3@example.test}, {a=no@example.test}, {short=s4@example.test} }"
	receivers = "inline:{ {alice+x@example.test=r1@example.test}, {alice@example.test=r2@example.test}, {bob@example.test=r2@example.test}, {@example.test=r3@example.test}, {r2@example.test=no@example.test} }"
)

// mails are senders with their recipients.
var mails = [][]string{
	{"a+x@elsewhere.test", "alice@example.test"}, {"A+y@elsewhere.test", "alice+x@example.test"}, {"b@elsewhere.test", "alice+y@example.test", "bob@example.test"},
	{"b@other.test", "carl@example.test", "bob@example.test"}, {"", "alice@example.test"}, {"b@other.test", "r2@example.test"}, {"short@own.test", "alice@example.test"}, {"Short+x@Own.Test", "alice@example.test"},
}

// TestCopiesArePostfixs: the same sender and recipients, with the same tables, come to the same
// mailboxes with Debian's Postfix.
func TestCopiesArePostfixs(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	b := copying(t, "always@example.test", []string{senders}, []string{receivers})
	var boxes []peers.Account
	for _, name := range []string{"alice", "bob", "carl", "always", "s1", "s2", "s3", "s4", "r1", "r2", "r3", "no"} {
		boxes = append(boxes, peers.Account{Address: name + "@example.test"})
	}
	p := startPostfixFor(t, boxes, "recipient_delimiter = +\nmydestination = own.test\nalways_bcc = always@example.test\nsender_bcc_maps = "+senders+"\nrecipient_bcc_maps = "+receivers+"\n")
	want, got := map[string]int{}, map[string]int{}
	for i, mail := range mails {
		s := b.submission(simple, mail[1:]...)
		s.Incoming = true
		if s.Envelope.Sender = s.Envelope.Redirect; mail[0] != "" {
			s.Envelope.Sender = address(t, mail[0])
		}
		env, _, err := b.try(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range env.Recipients {
			base, _ := r.Address.SplitExtension("+")
			want[fmt.Sprint(i, " ", base)]++
			if copied := slices.Contains(env.BCC, r.Address); copied != (r.Notify == envelope.NotifyNever) && !slices.Contains(mail, r.Address.String()) {
				t.Errorf("%s: %s NOTIFY %s", mail, r.Address, r.Notify)
			}
		}
		if reply := sendFrom(t, p.SMTP(), mail[0], mail[1:], fmt.Sprintf("X-Case: %d\n%s", i, simple)); !strings.HasPrefix(reply, "250") {
			t.Fatal(reply)
		}
	}
	total := 0
	for _, n := range want {
		total += n
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		clear(got)
		n := 0
		for _, box := range boxes {
			files, _ := filepath.Glob(filepath.Join(p.Maildir(box.Address), "new", "*"))
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				number, _, _ := strings.Cut(strings.TrimPrefix(withoutTrace(string(text)), "X-Case: "), "\n")
				got[number+" "+box.Address]++
				n++
			}
		}
		if n >= total {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ours    %v\nPostfix %v", want, got)
	}
}

// other is a mail filter that puts another sender and another recipient there.
type other struct{ sender, recipient addr.Address }

func (o other) Filter(_ context.Context, d *envelope.Draft) error {
	d.Envelope.Sender = o.sender
	d.Envelope.Recipients = []envelope.Recipient{{Address: o.recipient, Original: o.recipient}}
	return nil
}

// TestCopiesStayBehindAFilter: who is to have a copy of what somebody writes, or gets, has it although a mail filter has changed
// the envelope; and so has who is to have one of what stands there now.
func TestCopiesStayBehindAFilter(t *testing.T) {
	t.Parallel()
	b := copying(t, "", []string{senders}, []string{receivers})
	for sender, want := range map[string]string{
		"srs@forward.test": "friend@elsewhere.test s2@example.test r2@example.test", "b@elsewhere.test": "friend@elsewhere.test s2@example.test s3@example.test r2@example.test",
		"a@elsewhere.test": "friend@elsewhere.test s2@example.test r2@example.test",
	} {
		s := b.submission(simple, "alice@example.test")
		s.Incoming, s.Envelope.Sender = true, address(t, "a@elsewhere.test")
		s.Filter = other{address(t, sender), address(t, "friend@elsewhere.test")}
		env, _ := b.take(s)
		if got := recipients(env); got != want {
			t.Errorf("%s: %s", sender, got)
		}
	}
}

// TestCopiesThatCannotBeLookedUp: the message is refused for now. What is made here has no copies, and
// a redirection leaves none.
func TestCopiesThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]dsn.Status{"fail:x": dsn.MailSystem, "static:nobody": dsn.Misconfigured, "static:a@b.test, c@d.test": dsn.Misconfigured} {
		for _, b := range []*bed{copying(t, "", []string{table}, nil), copying(t, "", nil, []string{table})} {
			if _, _, e := b.inspected(simple); e == nil || e.Status != want || e.Reply() != 451 {
				t.Errorf("%s: %v", table, e)
			}
			if !strings.Contains(b.log.String(), "_bcc_maps") {
				t.Errorf("%s", b.log.String())
			}
		}
	}
	b := copying(t, "bob@example.test", nil, []string{"static:friend@example.test"})
	if env, _ := b.take(b.submission(simple, "alice@example.test")); recipients(env) != "alice@example.test" {
		t.Error(recipients(env))
	}
	s := b.submission(simple, "alice@example.test")
	s.Incoming, s.Envelope.Redirect = true, address(t, "far@elsewhere.test")
	if env, _ := b.take(s); recipients(env) != "far@elsewhere.test" {
		t.Error(recipients(env))
	}
	c := configs.Default()
	set := tables.NewSet(tables.Options{Params: c.Lookup})
	defer set.Close()
	c.Cleanup.RecipientBCCMaps = []string{"nothing"}
	if _, err := OpenCopies(t.Context(), c, set); err == nil || !strings.Contains(err.Error(), "cleanup.recipient_bcc_maps") {
		t.Errorf("%v", err)
	}
}
