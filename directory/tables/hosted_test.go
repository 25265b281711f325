package tables

import (
	"context"
	"errors"
	"strings"
	"testing"

	"toastmaster/directory"
	data "toastmaster/directory/static"
)

// hostedSet is a Set over a directory.
func hostedSet(t *testing.T, d *directory.Directory) *Set {
	t.Helper()
	s := NewSet(Options{Params: limitsForTest(), Directory: d, Aliases: directory.Limits{Depth: 10, Addresses: 100}})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func house(t *testing.T) *directory.Directory {
	t.Helper()
	off, full := data.Box("off@example.test", ""), data.Box("full@example.test", "")
	off.Mailbox.Enabled = false
	full.Mailbox.QuotaBytes = 1
	d, err := data.New(data.Data{
		Domains: append(data.Hosted("example.test", "all.test"),
			directory.Domain{Name: "alias.test", AliasOf: "example.test", Enabled: true}, directory.Domain{Name: "closed.test"}),
		Accounts: []directory.Account{data.Box("alice@example.test", ""), data.Box("bob@example.test", ""), off, full,
			data.Box(`"odd one"@example.test`, ""), data.Box("box@all.test", ""), data.Box("a@closed.test", "")},
		Aliases: map[string][]string{
			"sales@example.test":  {"alice@example.test", "bob@example.test", "x@elsewhere.test"},
			"team@example.test":   {"sales@example.test", "nobody@example.test"},
			"bob@example.test":    {"bob@example.test", "alice@example.test"},
			"out@example.test":    {"x@elsewhere.test"},
			"dead@example.test":   {"nobody@example.test"},
			"loop1@example.test":  {"loop2@example.test"},
			"loop2@example.test":  {"loop1@example.test"},
			"quoted@example.test": {`"odd one"@example.test`},
			"@all.test":           {"alice@example.test"},
		},
		Relocated:  map[string]string{"gone@example.test": "new@elsewhere.test"},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDirectoryTables: what a Postfix hears about the hosted data; "" is not found.
func TestDirectoryTables(t *testing.T) {
	t.Parallel()
	s := hostedSet(t, house(t))
	for table, answers := range map[string]map[string]string{
		"domains": {
			"example.test": "example.test", "EXAMPLE.Test": "example.test", "alias.test": "example.test",
			// Mail for a disabled domain is nobody else's.
			"closed.test": "closed.test",
			"other.test":  "", "test": "", ".example.test": "", "alice@example.test": "", "": "", "a b": "", "\x00": "", "xn--": "",
		},
		"mailboxes": {
			"alice@example.test": "example.test/alice/", "ALICE@Example.Test": "example.test/alice/", "alice+news@example.test": "example.test/alice/",
			"alice@alias.test": "example.test/alice/", "full@example.test": "example.test/full/", `"odd one"@example.test`: `example.test/odd one/`,
			// Beside its alias it is a mailbox.
			"bob@example.test": "example.test/bob/", "box@all.test": "all.test/box/",
			"off@example.test": "", "a@closed.test": "", "sales@example.test": "", "gone@example.test": "", "nobody@example.test": "",
			"anybody@all.test": "", "alice@other.test": "", "alice": "", "@example.test": "", "@all.test": "", "": "", "alice@": "", "a@b@example.test": "",
			"alice@example.test\x00": "", " alice@example.test": "",
		},
		"aliases": {
			"sales@example.test": "alice@example.test, bob@example.test, x@elsewhere.test", "sales+x@alias.test": "alice@example.test, bob@example.test, x@elsewhere.test",
			"team@example.test": "sales@example.test, nobody@example.test", "bob@example.test": "bob@example.test, alice@example.test",
			"quoted@example.test": `"odd one"@example.test`, "loop1@example.test": "loop2@example.test",
			// A catch-all takes what is no mailbox.
			"anybody@all.test": "alice@example.test", "box@all.test": "", "alice@example.test": "", "gone@example.test": "", "nobody@example.test": "", "a@closed.test": "", "sales": "",
		},
		"recipients": {
			"alice@example.test": "OK", "alice+x@alias.test": "OK", "sales@example.test": "OK", "team@example.test": "OK", "out@example.test": "OK", "anybody@all.test": "OK",
			"full@example.test": "OK", "off@example.test": "", "dead@example.test": "", "loop1@example.test": "", "gone@example.test": "", "nobody@example.test": "",
			"a@closed.test": "", "alice@other.test": "", "alice": "", "example.test": "",
		},
		"senders": {
			"alice@example.test": "alice@example.test", "alice+x@alias.test": "alice@example.test", "sales@example.test": "alice@example.test, bob@example.test",
			"team@example.test": "alice@example.test, bob@example.test", "anybody@all.test": "alice@example.test",
			// An alias beside a mailbox is the mailbox's address.
			"bob@example.test": "bob@example.test",
			// They are still nobody else's.
			"off@example.test": "off@example.test", "a@closed.test": "a@closed.test",
			"out@example.test": "", "dead@example.test": "", "loop1@example.test": "", "gone@example.test": "", "nobody@example.test": "", "alice@other.test": "", "alice": "",
		},
		"relocated": {"gone@example.test": "new@elsewhere.test", "gone+x@alias.test": "new@elsewhere.test", "alice@example.test": "", "nobody@example.test": "", "gone": ""},
	} {
		opened, err := s.Open(t.Context(), "directory:"+table)
		if err != nil {
			t.Fatal(err)
		}
		if !WantsWhole(opened) {
			t.Errorf("%s is asked for parts of addresses", table)
		}
		for key, want := range answers {
			text, err := opened.Lookup(t.Context(), key)
			outcome := directory.NotFound
			if want != "" {
				outcome = directory.Found
			}
			if text != want || directory.OutcomeOf(err) != outcome {
				t.Errorf("%s, key %q: %q, %v", table, key, text, err)
			}
		}
	}
}

// TestDirectoryTablesThatFail: a directory that cannot say says neither yes nor no, and
// keeps what is wrong.
func TestDirectoryTablesThatFail(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"domains": "example.test"}
	for name := range views(directory.Limits{}) {
		key := keys[name]
		if key == "" {
			key = "alice@example.test"
		}
		for _, outcome := range []directory.Outcome{directory.Unavailable, directory.Misconfigured} {
			cause := errors.New("the disk is gone")
			opened, err := hostedSet(t, data.Broken{Outcome: outcome, Cause: cause}.Directory()).Open(t.Context(), "directory:"+name)
			if err != nil {
				t.Fatal(err)
			}
			text, err := opened.Lookup(t.Context(), key)
			if text != "" || directory.OutcomeOf(err) != outcome || !errors.Is(err, cause) {
				t.Errorf("%s, %s: %q, %v", name, outcome, text, err)
			}
		}
		opened, err := hostedSet(t, nil).Open(t.Context(), "directory:"+name)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := opened.Lookup(context.Background(), key); text != "" || directory.OutcomeOf(err) != directory.Unavailable {
			t.Errorf("%s without a directory: %q, %v", name, text, err)
		}
	}
	if _, err := hostedSet(t, nil).Open(t.Context(), "directory:passwords"); err == nil || !strings.Contains(err.Error(), "senders or relocated") {
		t.Errorf("an unknown one: %v", err)
	}
}
