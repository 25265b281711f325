package tabletest

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
)

// Subject is a back end under test.
type Subject struct {
	// Healthy makes a back end that holds data.
	Healthy func(t *testing.T, data static.Data) directory.Backend
	// Failing makes one that answers everything with outcome, Unavailable or
	// Misconfigured, for a reason that occurs in life.
	Failing func(t *testing.T, outcome directory.Outcome) directory.Backend
	// Refuses says that Healthy cannot hold everything, such as aliases that lead
	// to themselves: then it is not asked for random data.
	Refuses bool
}

// Data is the hosted data of the suite, for tests around it.
func Data() static.Data {
	disabledBox := static.Box("off@example.test", "{PLAIN}off")
	disabledBox.Mailbox.Enabled = false
	quota := static.Box("alice@example.test", "{PLAIN}secret")
	quota.Mailbox.QuotaBytes, quota.Mailbox.QuotaMessages = 1<<30, 1000
	return static.Data{
		Domains: append(static.Hosted("example.test", "catch.test", "empty.test"),
			directory.Domain{Name: "alias.test", AliasOf: "example.test", Enabled: true},
			directory.Domain{Name: "catchalias.test", AliasOf: "catch.test", Enabled: true},
			directory.Domain{Name: "closed.test", AliasOf: "example.test"},
			directory.Domain{Name: "off.test"},
			directory.Domain{Name: "offalias.test", AliasOf: "off.test", Enabled: true}),
		Accounts: []directory.Account{
			quota, disabledBox,
			static.Box("bob@example.test", "{PLAIN}bob"),
			static.Box("bob+exact@example.test", "{PLAIN}bobexact"),
			static.Box("jürgen@example.test", "{PLAIN}j"),
			static.Box("fwd@example.test", "{PLAIN}fwd"),
			static.Box("box@catch.test", "{PLAIN}box"),
			static.Box("someone@off.test", "{PLAIN}someone"),
		},
		Aliases: map[string][]string{
			"list@example.test":     {"zoe@elsewhere.test", "alice@example.test", "bob+list@example.test"},
			"fwd@example.test":      {"far@elsewhere.test", "fwd@example.test"},
			"sales+eu@example.test": {"alice@example.test"},
			"@catch.test":           {"box@catch.test"},
		},
		Relocated:  map[string]string{"gone@example.test": "gone@new.test"},
		Delimiters: "+",
	}
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	back := s.Healthy(t, Data())
	d := directory.New(back, Data().Delimiters)
	t.Run("entries", func(t *testing.T) { entries(t, back) })
	t.Run("walks", func(t *testing.T) { walks(t, back) })
	t.Run("domains", func(t *testing.T) { domains(t, d) })
	t.Run("recipients", func(t *testing.T) { recipients(t, d) })
	t.Run("mailbox", func(t *testing.T) { mailbox(t, d) })
	t.Run("targets", func(t *testing.T) { targets(t, d) })
	t.Run("accounts", func(t *testing.T) { accounts(t, d) })
	if !s.Refuses {
		t.Run("random", func(t *testing.T) { random(t, s) })
	}
	t.Run("no delimiter", func(t *testing.T) {
		plain := directory.New(back, "")
		_, err := plain.Recipient(context.Background(), address(t, "alice+x@example.test"))
		wantOutcome(t, "alice+x", err, directory.NotFound)
	})
	for _, outcome := range []directory.Outcome{directory.Unavailable, directory.Misconfigured} {
		t.Run(outcome.String(), func(t *testing.T) { failing(t, directory.New(s.Failing(t, outcome), "+"), outcome) })
	}
}

// entries: a back end knows exact keys and nothing of the walk.
func entries(t *testing.T, b directory.Backend) {
	ctx := context.Background()
	for key, want := range map[directory.Key]string{
		directory.DomainKey("example.test"):              "domain",
		directory.DomainKey("alias.test"):                "domain",
		directory.AddressKey("alice", "example.test"):    "mailbox",
		directory.AddressKey("off", "example.test"):      "mailbox",
		directory.AddressKey("someone", "off.test"):      "mailbox enabled",
		directory.AddressKey("list", "example.test"):     "alias",
		directory.AddressKey("fwd", "example.test"):      "mailbox alias",
		directory.AddressKey("", "catch.test"):           "alias",
		directory.AddressKey("gone", "example.test"):     "relocated",
		login("alice", "example.test"):                   "mailbox login",
		login("fwd", "example.test"):                     "mailbox login",
		directory.AddressKey("alice+x", "example.test"):  "",
		directory.AddressKey("nobody", "example.test"):   "",
		directory.AddressKey("anything", "catch.test"):   "",
		directory.AddressKey("", "example.test"):         "",
		directory.AddressKey("alice", "elsewhere.test"):  "",
		directory.AddressKey("' OR 1=1", "example.test"): "",
		directory.DomainKey("elsewhere.test"):            "",
		directory.DomainKey(""):                          "",
		login("list", "example.test"):                    "",
		login("gone", "example.test"):                    "",
		login("", "catch.test"):                          "",
	} {
		e, err := b.Entry(ctx, key)
		if want == "" {
			wantOutcome(t, key.String(), err, directory.NotFound)
			continue
		}
		if err != nil {
			t.Errorf("Entry(%s): %v", key, err)
			continue
		}
		has := func(word string) bool { return strings.Contains(want, word) }
		if (e.Domain.Name != "") != has("domain") || (e.Mailbox.Home != "") != has("mailbox") || (len(e.Targets) > 0) != has("alias") ||
			(e.MovedTo != "") != has("relocated") || (e.PasswordHash != "") != has("login") || has("enabled") && !e.Mailbox.Enabled {
			t.Errorf("Entry(%s) = %+v, want %s", key, e, want)
		}
	}
}

func login(local, domain string) directory.Key {
	return directory.Key{Kind: directory.OfLogin, Local: local, Domain: domain}
}

// walks: the order is that of the walk, whatever the keys are, and an answer in
// one question is the same as key by key.
func walks(t *testing.T, b directory.Backend) {
	ctx := context.Background()
	of := func(domain string, locals ...string) directory.Walk {
		w := directory.Walk{Domain: domain, N: len(locals)}
		copy(w.Locals[:], locals)
		return w
	}
	for _, c := range []struct {
		w  directory.Walk
		at int
	}{
		{of("example.test", "alice", "list", ""), 0},
		{of("example.test", "list", "alice"), 0},
		{of("example.test", "nobody", "list", "alice"), 1},
		{of("example.test", "nobody", "list"), 1},
		{of("alias.test", "nobody", "", "fwd"), 2},
		{of("catch.test", "", "box"), 0},
		{of("catch.test", "box", ""), 0},
		{of("catchalias.test", "x", ""), 1},
		{of("empty.test", "alice", ""), directory.None},
		{of("off.test", "someone"), 0},
		{of("elsewhere.test", "alice", ""), -2},
	} {
		byKey, keyErr := directory.Step(ctx, b, c.w)
		once, err := directory.Ask(ctx, b, c.w)
		if c.at == -2 {
			wantOutcome(t, c.w.Domain, err, directory.NotFound)
			wantOutcome(t, c.w.Domain, keyErr, directory.NotFound)
			continue
		}
		if err != nil || keyErr != nil || once.At != c.at || !reflect.DeepEqual(once, byKey) {
			t.Errorf("%+v: %+v, %v; key by key %+v, %v", c.w, once, err, byKey, keyErr)
		}
	}
}

func domains(t *testing.T, d *directory.Directory) {
	for name, want := range map[string]directory.Domain{
		"example.test":    {Name: "example.test", Enabled: true},
		"empty.test":      {Name: "empty.test", Enabled: true},
		"alias.test":      {Name: "alias.test", AliasOf: "example.test", Enabled: true},
		"off.test":        {Name: "off.test"},
		"closed.test":     {Name: "closed.test", AliasOf: "example.test"},
		"offalias.test":   {Name: "offalias.test", AliasOf: "off.test"},
		"catchalias.test": {Name: "catchalias.test", AliasOf: "catch.test", Enabled: true},
	} {
		got, err := d.Domain(context.Background(), name)
		if err != nil || got != want {
			t.Errorf("Domain(%s) = %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"elsewhere.test", "", "test", "sub.example.test", "' OR 1=1 --"} {
		_, err := d.Domain(context.Background(), name)
		wantOutcome(t, name, err, directory.NotFound)
	}
}

func recipients(t *testing.T, d *directory.Directory) {
	for _, c := range []struct {
		ask       string
		kind      directory.Kind // 0: not found
		matched   string
		extension string
	}{
		{"alice@example.test", directory.KindMailbox, "alice@example.test", ""},
		{"ALICE@example.test", directory.KindMailbox, "alice@example.test", ""},
		{"alice+News@example.test", directory.KindMailbox, "alice@example.test", "News"},
		{"alice+a+b@example.test", directory.KindMailbox, "alice@example.test", "a+b"},
		{"bob+exact@example.test", directory.KindMailbox, "bob+exact@example.test", ""},
		{"bob+exact+x@example.test", directory.KindMailbox, "bob@example.test", "exact+x"},
		{"sales+eu@example.test", directory.KindAlias, "sales+eu@example.test", ""},
		{"sales@example.test", 0, "", ""},
		{"list@example.test", directory.KindAlias, "list@example.test", ""},
		{"list+x@example.test", directory.KindAlias, "list@example.test", "x"},
		{"fwd@example.test", directory.KindAlias, "fwd@example.test", ""},
		{"fwd+x@alias.test", directory.KindAlias, "fwd@example.test", "x"},
		{"gone@example.test", directory.KindRelocated, "gone@example.test", ""},
		{"gone+x@example.test", directory.KindRelocated, "gone@example.test", "x"},
		{"JÜRGEN@example.test", directory.KindMailbox, "jürgen@example.test", ""},
		{"nobody@example.test", 0, "", ""},
		{"alice@elsewhere.test", 0, "", ""},
		{"alice@empty.test", 0, "", ""},
		{"alice@alias.test", directory.KindMailbox, "alice@example.test", ""},
		{"alice+x@alias.test", directory.KindMailbox, "alice@example.test", "x"},
		{"nobody@alias.test", 0, "", ""},
		{"box@catch.test", directory.KindMailbox, "box@catch.test", ""},
		{"box+x@catch.test", directory.KindMailbox, "box@catch.test", "x"},
		{"anything@catch.test", directory.KindAlias, "", ""},
		{"any+thing@catch.test", directory.KindAlias, "", ""},
		{"anything@catchalias.test", directory.KindAlias, "", ""},
		{"off@example.test", directory.KindMailbox, "off@example.test", ""},
		{"someone@off.test", directory.KindMailbox, "someone@off.test", ""},
		{`"' OR 1=1"@example.test`, 0, "", ""},
	} {
		got, err := d.Recipient(context.Background(), address(t, c.ask))
		if c.kind == 0 {
			wantOutcome(t, c.ask, err, directory.NotFound)
			continue
		}
		want := addr.Address{Domain: "catch.test"}
		if c.matched != "" {
			want = address(t, c.matched)
		}
		if err != nil || got.Kind != c.kind || got.Matched != want || got.Extension != c.extension {
			t.Errorf("Recipient(%s) = %+v, %v", c.ask, got, err)
		}
	}
}

func mailbox(t *testing.T, d *directory.Directory) {
	for ask, want := range map[string]directory.Mailbox{
		"Alice+x@alias.test": {Home: "example.test/alice", QuotaBytes: 1 << 30, QuotaMessages: 1000, Enabled: true},
		"fwd@example.test":   {Home: "example.test/fwd", Enabled: true},
		"list@example.test":  {},
		"off@example.test":   {Home: "example.test/off"},
		"someone@off.test":   {Home: "off.test/someone"},
		"bob@closed.test":    {Home: "example.test/bob"},
	} {
		got, err := d.Recipient(context.Background(), address(t, ask))
		if want.Home != "" {
			want.Address = got.Matched
		}
		if err != nil || got.Mailbox != want {
			t.Errorf("Recipient(%s).Mailbox = %+v, %v; want %+v", ask, got.Mailbox, err, want)
		}
	}
	got, err := d.Recipient(context.Background(), address(t, "gone@example.test"))
	if err != nil || got.MovedTo != "gone@new.test" {
		t.Errorf("gone: %+v, %v", got, err)
	}
}

func targets(t *testing.T, d *directory.Directory) {
	for ask, want := range map[string][]string{
		"list@example.test": {"zoe@elsewhere.test", "alice@example.test", "bob+list@example.test"},
		"fwd@example.test":  {"far@elsewhere.test", "fwd@example.test"},
		"xyz@catch.test":    {"box@catch.test"},
	} {
		got, err := d.Recipient(context.Background(), address(t, ask))
		if err != nil || len(got.Targets) != len(want) {
			t.Errorf("%s: %+v, %v", ask, got, err)
			continue
		}
		for i, target := range got.Targets {
			if target != address(t, want[i]) {
				t.Errorf("%s: target %d is %s, want %s", ask, i, target, want[i])
			}
		}
	}
}

func accounts(t *testing.T, d *directory.Directory) {
	for login, want := range map[string]struct {
		address, hash string
		enabled       bool
	}{
		"alice@example.test":     {"alice@example.test", "{PLAIN}secret", true},
		"Alice@EXAMPLE.test":     {"alice@example.test", "{PLAIN}secret", true},
		"alice@alias.test":       {"alice@example.test", "{PLAIN}secret", true},
		"fwd@example.test":       {"fwd@example.test", "{PLAIN}fwd", true},
		"bob+exact@example.test": {"bob+exact@example.test", "{PLAIN}bobexact", true},
		"off@example.test":       {"off@example.test", "{PLAIN}off", false},
		"someone@off.test":       {"someone@off.test", "{PLAIN}someone", false},
		"bob@closed.test":        {"bob@example.test", "{PLAIN}bob", false},
	} {
		got, err := d.Account(context.Background(), login)
		if err != nil || got.PasswordHash != want.hash || got.Mailbox.Enabled != want.enabled ||
			got.Mailbox.Address != address(t, want.address) {
			t.Errorf("Account(%s) = %+v, %v", login, got.Mailbox, err)
		}
	}
	for _, login := range []string{
		"", "alice", "alice@", "@example.test", "@catch.test", "alice+x@example.test", "list@example.test",
		"gone@example.test", "anything@catch.test", "alice@[192.0.2.1]", "alice@elsewhere.test", "a b", "\x00", "' OR '1'='1",
	} {
		_, err := d.Account(context.Background(), login)
		wantOutcome(t, login, err, directory.NotFound)
	}
}

func failing(t *testing.T, d *directory.Directory, outcome directory.Outcome) {
	ctx := context.Background()
	_, err := d.Domain(ctx, "example.test")
	wantOutcome(t, "Domain", err, outcome)
	_, err = d.Recipient(ctx, address(t, "alice@example.test"))
	wantOutcome(t, "Recipient", err, outcome)
	_, err = d.Account(ctx, "alice@example.test")
	wantOutcome(t, "Account", err, outcome)
}

func wantOutcome(t *testing.T, key string, err error, want directory.Outcome) {
	t.Helper()
	if got := directory.OutcomeOf(err); got != want {
		t.Errorf("%q: %s (%v), want %s", key, got, err, want)
	}
}

func address(t *testing.T, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}
