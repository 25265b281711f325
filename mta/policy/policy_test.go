package policy

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

func hosted(t testing.TB) *directory.Directory {
	t.Helper()
	full, off := static.Box("full@example.test", ""), static.Box("off@example.test", "")
	full.Mailbox.QuotaBytes, off.Mailbox.Enabled = 1000, false
	d, err := static.New(static.Data{
		Domains: append(static.Hosted("example.test"), directory.Domain{Name: "alias.test", AliasOf: "example.test", Enabled: true},
			directory.Domain{Name: "closed.test"}),
		Accounts: []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", ""), full, off},
		Aliases: map[string][]string{
			"sales@example.test": {"alice@example.test", "x@elsewhere.test"},
			"gone@example.test":  {"nobody@example.test"},
			"crowd@example.test": {"full@example.test"},
			"some@example.test":  {"nobody@example.test", "full@example.test", "bob@example.test"},
			"loop1@example.test": {"loop2@example.test"},
			"loop2@example.test": {"loop1@example.test"},
		},
		Relocated:  map[string]string{"moved@example.test": "new@elsewhere.test"},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func environment(t testing.TB) *Env {
	t.Helper()
	return &Env{
		Hostname: "mx.test", Directory: hosted(t), Aliases: directory.Limits{Depth: 4, Addresses: 4}, CheckSenderLogin: true,
		Ours: func(domain string) bool { return domain == "[127.0.0.1]" },
		Refused: func(_ context.Context, a addr.Address, _ bool) *dsn.Error {
			return map[string]*dsn.Error{"shut.test": dsn.New(dsn.BadDestSystem, "Closed"), "later.test": dsn.New(dsn.RoutingFailed, "Moving").WithCode(450)}[a.Domain]
		},
		Fits: func(_ context.Context, m directory.Mailbox, size int64) *dsn.Error {
			if size > m.QuotaBytes {
				return dsn.New(dsn.MailboxFull, "full")
			}
			return nil
		},
		Codes: configs.Default().SMTPD.Codes, UnknownAddressTempfail: configs.TempfailIfPermit, UnknownHeloTempfail: configs.TempfailIfPermit,
		RBLReply: configs.Default().SMTPD.DefaultRBLReply, ResolveTimeout: time.Minute, Log: msglog.Discard(), Clock: clock.System{},
	}
}

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, _, err := addr.ParsePath("<"+s+">", false)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// asked is what a list says to a recipient of a message of 2000 octets.
func asked(t testing.TB, e *Env, names []string, to string, set func(*Transaction)) string {
	t.Helper()
	l, err := Compile(Rcpt, names, e)
	if err != nil {
		t.Fatal(err)
	}
	tx := &Transaction{Client: netip.MustParseAddr("192.0.2.1"), Helo: "client.test", Sender: address(t, "s@elsewhere.test"), Size: 2000}
	if set != nil {
		set(tx)
	}
	given := address(t, to)
	qualified := given
	if given.Domain == "" {
		qualified = given.WithDomain(e.Hostname)
	}
	tx.SetRecipient(given, qualified)
	d := l.Decide(t.Context(), tx)
	return text(d)
}

func text(d Decision) string {
	if d.Err == nil {
		return d.Action.String()
	}
	return d.Action.String() + " " + strings.TrimSpace(strings.Join([]string{dsnReply(d.Err), d.Err.Status.String(), d.Err.Text}, " "))
}

func dsnReply(e *dsn.Error) string {
	return string([]byte{byte('0' + e.Reply()/100), byte('0' + e.Reply()/10%10), byte('0' + e.Reply()%10)})
}

func user(address string) func(*Transaction) {
	return func(t *Transaction) { t.User = static.Box(address, "").Mailbox }
}

func trusted(t *Transaction) { t.Trusted = true }

// TestRecipients: every restriction about a recipient, one by one.
func TestRecipients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names, to string
		set       func(*Transaction)
		want      string
	}{
		{"permit_mynetworks", "x@elsewhere.test", nil, "DUNNO"},
		{"permit_mynetworks", "x@elsewhere.test", trusted, "PERMIT"},
		{"permit_sasl_authenticated", "x@elsewhere.test", trusted, "DUNNO"},
		{"permit_sasl_authenticated", "x@elsewhere.test", user("alice@example.test"), "PERMIT"},
		{"reject_unauthenticated", "x@elsewhere.test", trusted, "REJECT 530 5.7.0 Authentication required"},
		{"reject_unauthenticated", "x@elsewhere.test", user("alice@example.test"), "DUNNO"},
		{"reject", "a@example.test", nil, "REJECT 554 5.7.1 <a@example.test>: Recipient address rejected: Access denied"},
		{"defer", "a@example.test", nil, "DEFER 450 4.3.2 <a@example.test>: Recipient address rejected: Try again later"},
		{"permit reject", "a@example.test", nil, "PERMIT"},

		{"reject_unauth_destination", "x@elsewhere.test", nil, "REJECT 554 5.7.1 <x@elsewhere.test>: Relay access denied"},
		{"reject_unauth_destination", "x@elsewhere.test", trusted, "REJECT 554 5.7.1 <x@elsewhere.test>: Relay access denied"},
		{"reject_unauth_destination", "nobody@example.test", nil, "DUNNO"},
		{"reject_unauth_destination", "x@closed.test", nil, "DUNNO"},
		{"reject_unauth_destination", "x@[127.0.0.1]", nil, "DUNNO"},
		{"reject_unauth_destination", "root", nil, "REJECT 554 5.7.1 <root@mx.test>: Relay access denied"},
		{"defer_unauth_destination", "x@elsewhere.test", nil, "DEFER 454 4.7.1 <x@elsewhere.test>: Relay access denied"},
		{"permit_auth_destination", "x@elsewhere.test", nil, "DUNNO"},
		{"permit_auth_destination", "nobody@alias.test", nil, "PERMIT"},

		{"reject_unlisted_recipient", "x@elsewhere.test", nil, "DUNNO"},
		{"reject_unlisted_recipient", "x@shut.test", nil, "REJECT 550 5.1.2 <x@shut.test>: Closed"},
		{"reject_unlisted_recipient", "x@later.test", nil, "DEFER 450 4.4.3 <x@later.test>: Moving"},
		{"reject_unlisted_recipient", "Alice+x@alias.test", nil, "DUNNO"},
		{"reject_unlisted_recipient", "nobody@example.test", nil, "REJECT 550 5.1.1 <nobody@example.test>: User unknown"},
		{"reject_unlisted_recipient", "gone@example.test", nil, "REJECT 550 5.1.1 <gone@example.test>: User unknown"},
		{"reject_unlisted_recipient", "off@example.test", nil, "REJECT 550 5.2.1 <off@example.test>: Mailbox is disabled"},
		{"reject_unlisted_recipient", "x@closed.test", nil, "REJECT 550 5.2.1 <x@closed.test>: Domain is disabled"},
		{"reject_unlisted_recipient", "loop1@example.test", nil, "REJECT 554 5.4.6 <loop1@example.test>: Alias loop"},
		{"reject_unlisted_recipient", "x@[127.0.0.1]", trusted, "REJECT 550 5.4.6 <x@[127.0.0.1]>: This host's own address, and no such user here"},
		{"reject_unlisted_recipient", "moved@example.test", nil, "DUNNO"},
		{"reject_unlisted_recipient", "full@example.test", nil, "DUNNO"},
		{"reject_relocated_recipient", "moved@example.test", nil, "REJECT 551 5.1.6 User has moved; please try <new@elsewhere.test>"},
		{"reject_relocated_recipient", "nobody@example.test", nil, "DUNNO"},
		{"reject_over_quota", "full@example.test", nil, "REJECT 552 5.2.2 <full@example.test>: Mailbox is full"},
		{"reject_over_quota", "crowd@example.test", nil, "REJECT 552 5.2.2 <crowd@example.test>: Mailbox is full"},
		{"reject_over_quota", "some@example.test", nil, "DUNNO"},
		{"reject_over_quota", "full@example.test", func(t *Transaction) { t.Size = 999 }, "DUNNO"},
		{"reject_over_quota", "nobody@example.test", nil, "DUNNO"},
	} {
		if got := asked(t, environment(t), strings.Fields(c.names), c.to, c.set); got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.names, c.to, got, c.want)
		}
	}
	e := environment(t)
	e.OverQuotaTemporary = true
	if got := asked(t, e, []string{"reject_over_quota"}, "full@example.test", nil); got != "DEFER 452 4.2.2 <full@example.test>: Mailbox is full" {
		t.Error(got)
	}
}

// TestADirectoryInTroubleRefusesNobodyForGood, and lets nobody relay.
func TestADirectoryInTroubleRefusesNobodyForGood(t *testing.T) {
	t.Parallel()
	e := environment(t)
	e.Directory = static.Broken{Outcome: directory.Unavailable, Cause: errors.New("down")}.Directory()
	for _, name := range []string{"reject_unauth_destination", "defer_unauth_destination", "reject_unlisted_recipient"} {
		if got := asked(t, e, []string{name}, "x@elsewhere.test", nil); !strings.HasPrefix(got, "DEFER 451 4.3.0 ") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := asked(t, e, []string{"permit_auth_destination"}, "x@elsewhere.test", nil); got != "DUNNO" {
		t.Error(got)
	}
}

// TestSenders: whose address a sender may be.
func TestSenders(t *testing.T) {
	t.Parallel()
	const others = "553 5.7.1 <bob@example.test>: Sender address is not owned by alice@example.test"
	alice := user("alice@example.test")
	for _, c := range []struct {
		name, from string
		set        func(*Transaction)
		want       string
	}{
		{"reject_authenticated_sender_login_mismatch", "bob@example.test", alice, "REJECT " + others},
		{"reject_authenticated_sender_login_mismatch", "Alice+x@alias.test", alice, "DUNNO"},
		{"reject_authenticated_sender_login_mismatch", "sales@example.test", alice, "DUNNO"},
		{"reject_authenticated_sender_login_mismatch", "", alice, "DUNNO"},
		{"reject_authenticated_sender_login_mismatch", "x@elsewhere.test", alice, "REJECT 553 5.7.1 <x@elsewhere.test>: Sender address is not owned by alice@example.test"},
		{"reject_authenticated_sender_login_mismatch", "bob@example.test", nil, "DUNNO"},
		{"reject_unauthenticated_sender_login_mismatch", "bob@example.test", nil, "REJECT 553 5.7.1 <bob@example.test>: Sender address rejected: not logged in"},
		{"reject_unauthenticated_sender_login_mismatch", "nobody@example.test", nil, "DUNNO"},
		{"reject_unauthenticated_sender_login_mismatch", "x@elsewhere.test", nil, "DUNNO"},
		{"reject_unauthenticated_sender_login_mismatch", "bob@example.test", alice, "DUNNO"},
		{"reject_sender_login_mismatch", "bob@example.test", alice, "REJECT " + others},
		{"reject_sender_login_mismatch", "bob@example.test", nil, "REJECT 553 5.7.1 <bob@example.test>: Sender address rejected: not logged in"},
		{"reject_known_sender_login_mismatch", "bob@example.test", alice, "REJECT " + others},
		{"reject_known_sender_login_mismatch", "x@elsewhere.test", alice, "DUNNO"},
		{"reject_known_sender_login_mismatch", "bob@example.test", nil, "REJECT 553 5.7.1 <bob@example.test>: Sender address rejected: not logged in"},
	} {
		for _, on := range []bool{true, false} {
			e := environment(t)
			e.CheckSenderLogin = on
			l, err := Compile(Mail, []string{c.name}, e)
			if err != nil {
				t.Fatal(err)
			}
			tx := &Transaction{Sender: address(t, c.from)}
			if c.set != nil {
				c.set(tx)
			}
			want := c.want
			if !on {
				want = "DUNNO"
			}
			if got := text(l.Decide(t.Context(), tx)); got != want {
				t.Errorf("%s, %s, %v: %s, want %s", c.name, c.from, on, got, want)
			}
		}
	}
}

// TestPostmasterStandsIn: who is reached in the place of whom, and that this makes
// nobody a relay.
func TestPostmasterStandsIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ postmaster, to, want, final string }{
		{"alice@example.test", "postmaster", "DUNNO", "alice@example.test"},
		{"alice@example.test", "Root@mx.test", "DUNNO", "alice@example.test"},
		{"alice@example.test", "postmaster@[127.0.0.1]", "DUNNO", "alice@example.test"},
		{"alice@example.test", "postmaster@example.test", "DUNNO", "alice@example.test"},
		{"alice@example.test", "root@example.test", "REJECT 550 5.1.1", ""},
		{"alice@example.test", "postmaster@elsewhere.test", "REJECT 554 5.7.1", ""},
		{"x@elsewhere.test", "postmaster", "DUNNO", "x@elsewhere.test"},
		{"x@elsewhere.test", "postmaster@example.test", "DUNNO", "x@elsewhere.test"},
		{"x@elsewhere.test", "x@elsewhere.test", "REJECT 554 5.7.1", ""},
		{"root@mx.test", "postmaster", "REJECT 554 5.7.1 <postmaster@mx.test>: Relay", ""},
		{"", "postmaster", "REJECT 554 5.7.1", ""},
	} {
		e := environment(t)
		if c.postmaster != "" {
			e.Postmaster = address(t, c.postmaster)
		}
		l, err := Compile(Rcpt, []string{"reject_unauth_destination", "reject_unlisted_recipient"}, e)
		if err != nil {
			t.Fatal(err)
		}
		given := address(t, c.to)
		tx := &Transaction{}
		if tx.SetRecipient(given, given); given.Domain == "" {
			tx.SetRecipient(given, given.WithDomain("mx.test"))
		}
		got := text(l.Decide(t.Context(), tx))
		final, _ := e.Final(t.Context(), tx)
		if !strings.HasPrefix(got, c.want) || c.final != "" && final != address(t, c.final) {
			t.Errorf("%s for %s: %s, %s", c.postmaster, c.to, got, final)
		}
	}
}

// TestOpenRelaysDoNotStart.
func TestOpenRelaysDoNotStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		relay, recipient string
		ok               bool
	}{
		{"", "", false},
		{"permit_mynetworks", "reject_unlisted_recipient reject_over_quota", false},
		{"permit", "", false},
		{"permit reject_unauth_destination", "reject_unlisted_recipient", false},
		{"permit_mynetworks permit_auth_destination", "permit reject", false},
		{"permit_mynetworks reject_unauth_destination", "", true},
		{"", "permit_mynetworks defer_unauth_destination", true},
		{"permit_auth_destination reject", "", true},
		{"permit", "permit_auth_destination defer", true},
		{"permit_mynetworks reject_unauth_destination permit", "", true},
	} {
		_, err := CompileLists("smtpd.mua_", configs.Restrictions{Relay: strings.Fields(c.relay), Recipient: strings.Fields(c.recipient)}, environment(t))
		var m *Mistake
		switch {
		case c.ok && err != nil:
			t.Errorf("%+v: %v", c, err)
		case !c.ok && (!errors.As(err, &m) || m.Param != "smtpd.mua_relay_restrictions" || !strings.Contains(err.Error(), "open relay") ||
			!strings.Contains(err.Error(), "reject_unauth_destination")):
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestMistakesAreNamed: what, where in the list, and what was meant.
func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	relay := []string{"reject"}
	for _, c := range []struct {
		lists configs.Restrictions
		param string
		item  int
		words string
	}{
		{configs.Restrictions{Relay: relay, Recipient: []string{"permit_mynetworks", "reject_unlisted_recipients"}}, "smtpd.recipient_restrictions", 1,
			`unknown restriction "reject_unlisted_recipients", did you mean reject_unlisted_recipient?`},
		{configs.Restrictions{Relay: []string{"reject_unauth_destinaton"}}, "smtpd.relay_restrictions", 0, "did you mean reject_unauth_destination?"},
		{configs.Restrictions{Relay: relay, Helo: []string{"frob"}}, "smtpd.helo_restrictions", 0, `unknown restriction "frob" (allowed: permit, reject, defer, permit_mynetworks`},
		{configs.Restrictions{Relay: relay, Client: []string{"reject_over_quota"}}, "smtpd.client_restrictions", 0, "before what it is about is known (allowed: "},
		{configs.Restrictions{Relay: relay, Sender: []string{"reject_unlisted_recipient"}}, "smtpd.sender_restrictions", 0, "before what it is about is known"},
		{configs.Restrictions{Relay: relay, Data: []string{"permit_sasl_authenticated", ""}}, "smtpd.data_restrictions", 1, `unknown restriction ""`},
		{configs.Restrictions{Relay: relay, EndOfData: []string{"Reject"}}, "smtpd.end_of_data_restrictions", 0, "did you mean reject?"},
	} {
		_, err := CompileLists("smtpd.", c.lists, &Env{})
		var m *Mistake
		if !errors.As(err, &m) || m.Param != c.param || m.Item != c.item || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestDefaults can be asked, with nothing behind them yet.
func TestDefaults(t *testing.T) {
	t.Parallel()
	d := configs.Default().SMTPD
	for prefix, c := range map[string]configs.Restrictions{"smtpd.": d.Restrictions, "smtpd.mua_": d.MUARestrictions} {
		if _, err := CompileLists(prefix, c, &Env{}); err != nil {
			t.Error(err)
		}
	}
}

// TestTheTable has each name once, and docs/restrictions.md each with its stages.
func TestTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/restrictions.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z, _]+) \\| .* \\|$").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = m[2]
	}
	var names []string
	all := rows()
	for _, r := range arguedRows() {
		all = append(all, row{name: r.name, stages: r.stages})
	}
	all = append(all, row{name: warnIfReject, stages: at(Connect, Helo, Mail, Rcpt, Data, EndOfData)})
	for _, r := range all {
		if slices.Contains(names, r.name) {
			t.Errorf("%s stands there twice", r.name)
		}
		names = append(names, r.name)
		var lists []string
		for s, list := range []string{"client", "helo", "sender", "relay, recipient", "data", "end_of_data"} {
			if r.stages.has(Stage(s)) {
				lists = append(lists, list)
			}
		}
		want := strings.Join(lists, ", ")
		switch len(lists) {
		case 6:
			want = "all"
		case 0: // what smtpd does not ask yet
			want = "etrn"
		}
		if documented[r.name] != want {
			t.Errorf("docs/restrictions.md: %s is in %q, not %q", r.name, documented[r.name], want)
		}
		delete(documented, r.name)
	}
	if len(documented) > 0 {
		t.Errorf("docs/restrictions.md has %v, which are none", documented)
	}
}

// counting is a back end that counts what it is asked.
type counting struct {
	directory.Backend
	asked *int
}

func (c counting) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	*c.asked++
	return c.Backend.Entry(ctx, key)
}

// TestTheDirectoryIsAskedOnce for a recipient, however many restrictions want to
// know.
func TestTheDirectoryIsAskedOnce(t *testing.T) {
	t.Parallel()
	table, err := static.NewTable(static.Data{Domains: static.Hosted("example.test"), Accounts: []directory.Account{static.Box("alice@example.test", "")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"alice@example.test", "nobody@example.test", "x@elsewhere.test"} {
		e, n := environment(t), 0
		e.Directory = directory.New(counting{table, &n}, "+")
		e.Directory.Decide(t.Context(), address(t, to), directory.Question{})
		once := n
		d := configs.Default().SMTPD.Restrictions
		asked(t, e, append(slices.Clone(d.Relay), d.Recipient...), to, nil)
		if once == 0 || n != 2*once {
			t.Errorf("%s: %d questions, one decision has %d", to, n-once, once)
		}
	}
}

// TestActionsAreNotedAndEndNothing: as access(5) has it, what is to be done to a message
// lets the next restriction be asked.
func TestActionsAreNotedAndEndNothing(t *testing.T) {
	t.Parallel()
	var list []Check
	for a := Hold; a <= Info; a++ {
		if a == Discard {
			continue // which ends all lists
		}
		list = append(list, CheckFunc(func(context.Context, *Transaction) Decision { return Decision{Action: a, Arg: a.String()} }))
	}
	list = append(list, rejectAll(Mail, environment(t)), permitAll(Mail, nil))
	tr := &Transaction{}
	if d := NewList(list...).Decide(t.Context(), tr); d.Action != Reject || len(tr.Noted) != int(Info-Hold) {
		t.Errorf("%s, %d noted", d.Action, len(tr.Noted))
	}
	tr = &Transaction{}
	note := func(arg string) { tr.Noted = append(tr.Noted, Decision{Action: Hold, Arg: arg}) }
	left := func() (all string) {
		for _, d := range tr.Noted {
			all += d.Arg
		}
		return all
	}
	note("c")
	tr.Connected()
	for range 3 { // another HELO takes the place of the first
		tr.SetHelo("x")
		note("h")
		tr.Greeted()
		note("m")
		tr.Reset()
	}
	if left() != "ch" {
		t.Errorf("%q", left())
	}
}

// TestAnItemWithCommas is what who knows Postfix writes, whose lists are words between commas.
func TestAnItemWithCommas(t *testing.T) {
	t.Parallel()
	_, err := Compile(Rcpt, []string{"reject_unlisted_recipient, reject_over_quota"}, environment(t))
	if err == nil || !strings.Contains(err.Error(), `no commas, each restriction is an item of its own, "reject_unlisted_recipient"`) {
		t.Error(err)
	}
}
