package policy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

// TestWhoOwnsAnAddress: the walk over aliases ends at its limits and at what it has seen,
// and an alias beside a mailbox is that mailbox's.
func TestWhoOwnsAnAddress(t *testing.T) {
	t.Parallel()
	d, err := static.New(static.Data{
		Domains:  static.Hosted("example.test"),
		Accounts: []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", "")},
		Aliases: map[string][]string{
			"one@example.test":   {"alice@example.test"},
			"two@example.test":   {"one@example.test"},
			"three@example.test": {"two@example.test"},
			"both@example.test":  {"bob@example.test", "alice@example.test"},
			"twice@example.test": {"two@example.test", "two@example.test", "one@example.test"},
			"loop@example.test":  {"loop@example.test", "pool@example.test"},
			"pool@example.test":  {"loop@example.test"},
			"round@example.test": {"loop@example.test", "alice@example.test"},
			"wide@example.test":  {"a@example.test", "b@example.test", "c@example.test", "d@example.test", "alice@example.test"},
			"bob@example.test":   {"bob@example.test", "alice@example.test"},
			"away@example.test":  {"alice@elsewhere.test"},
		},
		Relocated: map[string]string{"moved@example.test": "alice@example.test"}, Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address          string
		depth, addresses int
		owns             bool
	}{
		{"alice@example.test", 0, 0, true},
		{"Alice+x@example.test", 0, 0, true},
		{"one@example.test", 1, 1, true},
		{"one@example.test", 0, 9, false},
		{"two@example.test", 2, 9, true},
		{"two@example.test", 1, 9, false},
		{"three@example.test", 3, 3, true},
		{"three@example.test", 3, 2, false},
		{"both@example.test", 1, 9, true},
		{"twice@example.test", 3, 9, true},
		{"loop@example.test", 9, 9, false},
		{"round@example.test", 9, 9, true},
		{"wide@example.test", 1, 5, true},
		{"wide@example.test", 1, 4, false},
		{"bob@example.test", 9, 9, false}, // beside bob's mailbox
		{"away@example.test", 9, 9, false},
		{"moved@example.test", 9, 9, false},
		{"nobody@example.test", 9, 9, false},
	} {
		e := &Env{Directory: d, Aliases: directory.Limits{Depth: c.depth, Addresses: c.addresses}}
		owns, reply := e.Owns(t.Context(), address(t, "alice@example.test"), address(t, c.address))
		if owns != c.owns || reply != nil {
			t.Errorf("%s at most %d deep, %d addresses: %v %v", c.address, c.depth, c.addresses, owns, reply)
		}
	}
}

// failing is a back end that fails for one address.
type failing struct {
	directory.Backend
	at string
}

func (f failing) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	if strings.HasPrefix(key.Local, f.at) {
		return directory.Entry{}, &directory.Error{Outcome: directory.Unavailable, Cause: errors.New("down")}
	}
	return f.Backend.Entry(ctx, key)
}

// TestWhoOwnsAnAddressIsNotKnown: a directory that fails in the middle of the walk makes
// nobody an owner, and refuses nobody for good; what was found before it counts.
func TestWhoOwnsAnAddressIsNotKnown(t *testing.T) {
	t.Parallel()
	table, err := static.NewTable(static.Data{
		Domains: static.Hosted("example.test"), Accounts: []directory.Account{static.Box("alice@example.test", "")},
		Aliases: map[string][]string{"first@example.test": {"down@example.test", "alice@example.test"}, "last@example.test": {"alice@example.test", "down@example.test"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := environment(t)
	e.Directory = directory.New(failing{table, "down"}, "+")
	for from, want := range map[string]string{"first@example.test": "DEFER 451 4.3.0 ", "last@example.test": "DUNNO", "down@example.test": "DEFER 451 4.3.0 "} {
		for _, name := range []string{"reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch", "reject_known_sender_login_mismatch"} {
			l, err := Compile(Mail, []string{name}, e)
			if err != nil {
				t.Fatal(err)
			}
			tx := &Transaction{Sender: address(t, from), User: static.Box("alice@example.test", "").Mailbox}
			if got := text(l.Decide(t.Context(), tx)); !strings.HasPrefix(got, want) {
				t.Errorf("%s, %s: %s, want %s", name, from, got, want)
			}
		}
	}
}

// TestPostmasterOfThisHost: who writes to "postmaster" reaches smtpd.postmaster and is
// nobody's relay; an account or an alias of that name goes before it.
func TestPostmasterOfThisHost(t *testing.T) {
	t.Parallel()
	table := func(more ...string) *directory.Directory {
		data := static.Data{Domains: static.Hosted("example.test", "mx.test"), Accounts: []directory.Account{static.Box("alice@example.test", "")}, Aliases: map[string][]string{}}
		for _, m := range more {
			data.Aliases[m] = []string{"nobody@example.test"}
		}
		d, err := static.New(data)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, c := range map[string]struct {
		d           *directory.Directory
		given       addr.Address
		final, says string
	}{
		"no domain":         {table(), addr.Address{Local: "PostMaster"}, "alice@example.test", "DUNNO"},
		"no domain, not it": {table(), addr.Address{Local: "postmasters"}, "postmasters@mx.test", "REJECT 550 5.1.1 <postmasters@mx.test>: User unknown"},
		"a hosted domain":   {table(), addr.Address{Local: "postmaster", Domain: "mx.test"}, "alice@example.test", "DUNNO"},
		"an alias that is no use": {table("postmaster@mx.test"), addr.Address{Local: "postmaster", Domain: "mx.test"}, "postmaster@mx.test",
			"REJECT 550 5.1.1 <postmaster@mx.test>: User unknown"},
		"without a domain the parameter goes first": {table("postmaster@mx.test"), addr.Address{Local: "postmaster"}, "alice@example.test", "DUNNO"},
	} {
		e := environment(t)
		e.Directory, e.Postmaster = c.d, address(t, "alice@example.test")
		l, err := Compile(Rcpt, []string{"reject_unauth_destination", "reject_unlisted_recipient"}, e)
		if err != nil {
			t.Fatal(err)
		}
		qualified := c.given
		if qualified.Domain == "" {
			qualified = qualified.WithDomain(e.Hostname)
		}
		tx := &Transaction{}
		tx.SetRecipient(c.given, qualified)
		got := text(l.Decide(t.Context(), tx))
		if final, _ := e.Final(t.Context(), tx); got != c.says || final != address(t, c.final) {
			t.Errorf("%s: %s, to %s", name, got, final)
		}
	}
}

// TestAQuotaThatIsNotKnown lets the message in, and says so in the log: delivery knows.
func TestAQuotaThatIsNotKnown(t *testing.T) {
	t.Parallel()
	e := environment(t)
	var log bytes.Buffer
	e.Log = msglog.New(slog.NewTextHandler(&log, nil))
	e.Fits = func(context.Context, directory.Mailbox, int64) *dsn.Error {
		return dsn.New(dsn.MailSystem, "the disk is away")
	}
	if got := asked(t, e, []string{"reject_over_quota"}, "full@example.test", func(tx *Transaction) { tx.Session = "s1" }); got != "DUNNO" {
		t.Error(got)
	}
	for _, want := range []string{"quota not known", "s1", "full@example.test", "the disk is away"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q: %s", want, log.String())
		}
	}
}

// TestWhatARefusalIsAbout: each stage names what it refuses, as Postfix does.
func TestWhatARefusalIsAbout(t *testing.T) {
	t.Parallel()
	tx := &Transaction{Client: netip.MustParseAddr("2001:db8::1"), Helo: "client.test", Sender: address(t, "s@elsewhere.test")}
	tx.SetRecipient(address(t, "r@example.test"), address(t, "r@example.test"))
	for stage, want := range map[Stage]string{
		Connect: "<unknown[2001:db8::1]>: Client host rejected: ", Helo: "<client.test>: Helo command rejected: ", Mail: "<s@elsewhere.test>: Sender address rejected: ",
		Rcpt: "<r@example.test>: Recipient address rejected: ", Data: "<DATA>: Data command rejected: ", EndOfData: "<END-OF-MESSAGE>: End-of-data rejected: ",
	} {
		for name, tail := range map[string]string{"reject": "REJECT 554 5.7.1 " + want + "Access denied", "defer": "DEFER 450 4.3.2 " + want + "Try again later"} {
			l, err := Compile(stage, []string{name}, environment(t))
			if err != nil {
				t.Fatal(err)
			}
			if got := text(l.Decide(t.Context(), tx)); got != tail {
				t.Errorf("%s: %s, want %s", name, got, tail)
			}
		}
	}
	local := &Transaction{}
	l, err := Compile(Connect, []string{"reject"}, environment(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := text(l.Decide(t.Context(), local)); !strings.Contains(got, "<unix>: Client host rejected") {
		t.Error(got)
	}
}

// TestResetForgetsTheTransaction, and nothing of the session; another HELO is another
// name, and another recipient is decided anew.
func TestResetForgetsTheTransaction(t *testing.T) {
	t.Parallel()
	e := environment(t)
	tx := &Transaction{Session: "s1", Client: netip.MustParseAddr("192.0.2.1"), Trusted: true, User: static.Box("alice@example.test", "").Mailbox,
		Sender: address(t, "a@example.test"), Size: 9, Recipients: 3}
	tx.SetHelo("one.test")
	tx.SetHelo("two.test")
	tx.SetRecipient(address(t, "alice@example.test"), address(t, "alice@example.test"))
	if final, _ := e.Final(t.Context(), tx); final != address(t, "alice@example.test") {
		t.Error(final)
	}
	tx.SetRecipient(address(t, "sales@example.test"), address(t, "sales@example.test"))
	if final, n := e.Final(t.Context(), tx); final != address(t, "sales@example.test") || n != 2 {
		t.Error(final, n)
	}
	tx.Reset()
	if !tx.Sender.IsNull() || tx.Size != 0 || tx.Recipients != 0 || tx.Recipient != (addr.Address{}) || len(tx.Noted) != 0 {
		t.Errorf("after a reset: %+v", tx)
	}
	if tx.Session != "s1" || tx.Helo != "two.test" || !tx.Trusted || !tx.Authenticated() || !tx.Client.IsValid() {
		t.Errorf("the session is forgotten: %+v", tx)
	}
}

// TestActionsHaveNames, each another one, and what is no action has one too.
func TestActionsHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]Action{}
	for a := Dunno; a <= Pass; a++ {
		if other, twice := seen[a.String()]; twice || a.String() == "unknown action" {
			t.Errorf("%d and %d are %s", a, other, a)
		}
		seen[a.String()] = a
		if want := a == Permit || a == Reject || a == Defer; a.Ends() != want {
			t.Errorf("%s ends: %v", a, !want)
		}
	}
	if got := (Pass + 1).String(); got != "unknown action" {
		t.Error(got)
	}
}
