package static_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
)

func table(t *testing.T) *static.Table {
	t.Helper()
	off := static.Box("Off@Example.test", "{PLAIN}x")
	off.Mailbox.Enabled = false
	odd := static.Box(`"odd one"@example.test`, "")
	odd.Mailbox.Home = "elsewhere"
	d, err := static.NewTable(static.Data{
		Domains:   append(static.Hosted("Example.TEST."), directory.Domain{Name: "alias.test", AliasOf: "example.test", Enabled: true}, directory.Domain{Name: "closed.test"}, directory.Domain{Name: "of-closed.test", AliasOf: "closed.test", Enabled: true}),
		Accounts:  []directory.Account{static.Box("Alice@Example.test", "{PLAIN}secret"), off, odd},
		Aliases:   map[string][]string{"ALICE@example.test": {"Alice@example.test", "Bob@Elsewhere.TEST"}, "@example.test": {"alice@example.test"}},
		Relocated: map[string]string{"Moved@example.test": "new@elsewhere.test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestKeysAreExactAndFolded: a table answers the key that it is asked for and no other;
// the walk over keys is the directory's.
func TestKeysAreExactAndFolded(t *testing.T) {
	t.Parallel()
	d := table(t)
	entry := func(kind directory.KeyKind, local, domain string) (directory.Entry, error) {
		return d.Entry(t.Context(), directory.Key{Kind: kind, Local: local, Domain: domain})
	}
	for _, c := range []struct {
		local string
		found bool
	}{{"alice", true}, {"moved", true}, {"", true}, {"odd one", true}, {"nobody", false}, {"alice+x", false}} {
		_, err := entry(directory.OfAddress, c.local, "example.test")
		var missing *directory.Error
		if (err == nil) != c.found || err != nil && (!errors.As(err, &missing) || missing.Outcome != directory.NotFound) {
			t.Errorf("%q: %v", c.local, err)
		}
	}
	if _, err := entry(directory.OfAddress, "alice", "alias.test"); err == nil {
		t.Error("an address was found in an alias domain, which has none")
	}
	e, err := entry(directory.OfAddress, "alice", "example.test")
	if err != nil || e.Mailbox.Home != "example.test/alice" || len(e.Targets) != 2 || e.Targets[1].String() != "Bob@elsewhere.test" || e.PasswordHash != "" || e.Mailbox.Credential != "" {
		t.Errorf("a mailbox with an alias: %+v, %v", e, err)
	}
	e, err = entry(directory.OfLogin, "alice", "example.test")
	if err != nil || e.PasswordHash != "{PLAIN}secret" || len(e.Targets) != 0 {
		t.Errorf("its log-in: %+v, %v", e, err)
	}
	for _, none := range []string{"moved", "", "nobody"} {
		if e, err := entry(directory.OfLogin, none, "example.test"); err == nil {
			t.Errorf("%q can log in: %+v", none, e)
		}
	}
	if e, err := entry(directory.OfAddress, "odd one", "example.test"); err != nil || e.Mailbox.Home != "elsewhere" {
		t.Errorf("%+v %v", e, err)
	}
}

// TestDomainsOfATable: the name is folded, an alias domain of a disabled one is
// disabled, and what is not there is not found.
func TestDomainsOfATable(t *testing.T) {
	t.Parallel()
	d := table(t)
	for name, want := range map[string]string{"example.test": "on", "alias.test": "on example.test", "closed.test": "off", "of-closed.test": "off closed.test", "other.test": ""} {
		e, err := d.Entry(t.Context(), directory.Key{Kind: directory.OfDomain, Domain: name})
		got := ""
		if err == nil {
			got = strings.TrimSpace(map[bool]string{true: "on ", false: "off "}[e.Domain.Enabled] + e.Domain.AliasOf)
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%v)", name, got, want, err)
		}
	}
}

// TestATableIsNotItsData: what is changed in the data afterwards changes nothing.
func TestATableIsNotItsData(t *testing.T) {
	t.Parallel()
	data := static.Data{Domains: static.Hosted("a.test"), Aliases: map[string][]string{"x@a.test": {"y@b.test"}}}
	d, err := static.NewTable(data)
	if err != nil {
		t.Fatal(err)
	}
	data.Aliases["x@a.test"][0] = "evil@c.test"
	data.Domains[0].Enabled = false
	e, err := d.Entry(t.Context(), directory.Key{Kind: directory.OfAddress, Local: "x", Domain: "a.test"})
	if err != nil || e.Targets[0].String() != "y@b.test" {
		t.Errorf("%+v %v", e, err)
	}
	if e, err := d.Entry(t.Context(), directory.Key{Kind: directory.OfDomain, Domain: "a.test"}); err != nil || !e.Domain.Enabled {
		t.Errorf("%+v %v", e, err)
	}
}

// TestADomainIsGivenOnce: two rows of one name contradict each other, in whatever case.
func TestADomainIsGivenOnce(t *testing.T) {
	t.Parallel()
	for _, twice := range [][]directory.Domain{
		append(static.Hosted("a.test"), directory.Domain{Name: "A.TEST"}),
		append(static.Hosted("a.test", "b.test"), directory.Domain{Name: "a.test.", AliasOf: "b.test", Enabled: true}),
		static.Hosted("a.test", "a.test"),
	} {
		if _, err := static.NewTable(static.Data{Domains: twice}); err == nil || !strings.Contains(err.Error(), "a.test") {
			t.Errorf("%+v: %v", twice, err)
		}
	}
	// What an alias domain stands for may be written in any case.
	d, err := static.New(static.Data{
		Domains:  append(static.Hosted("a.test"), directory.Domain{Name: "b.test", AliasOf: "A.Test.", Enabled: true}),
		Accounts: []directory.Account{static.Box("x@a.test", "")},
	})
	if err != nil || d == nil {
		t.Fatalf("%v", err)
	}
}

// TestBroken answers everything with its outcome and its cause.
func TestBroken(t *testing.T) {
	t.Parallel()
	cause := errors.New("no route to host")
	outcomes := []directory.Outcome{directory.NotFound, directory.Unavailable, directory.Misconfigured}
	for _, o := range outcomes {
		b := static.Broken{Outcome: o, Cause: cause}
		for _, kind := range []directory.KeyKind{directory.OfDomain, directory.OfAddress, directory.OfLogin} {
			_, err := b.Entry(t.Context(), directory.Key{Kind: kind, Local: "x", Domain: "a.test"})
			var e *directory.Error
			if !errors.As(err, &e) || e.Outcome != o || !errors.Is(err, cause) {
				t.Errorf("%v: %v", o, err)
			}
		}
	}
	if !slices.Contains(outcomes, directory.NotFound) || (static.Broken{}).Directory() == nil {
		t.Error("there is no directory over it")
	}
}
