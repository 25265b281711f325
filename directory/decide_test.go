package directory_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

func parse(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

func hosted(t testing.TB) *directory.Directory {
	t.Helper()
	off, full, unsure := static.Box("off@a.test", ""), static.Box("full@a.test", ""), static.Box("unsure@a.test", "")
	off.Mailbox.Enabled = false
	full.Mailbox.QuotaBytes, unsure.Mailbox.QuotaMessages = 1, 1
	d, err := static.New(static.Data{
		Domains: append(static.Hosted("a.test"), directory.Domain{Name: "closed.test"},
			directory.Domain{Name: "alias.test", AliasOf: "a.test", Enabled: true}),
		Accounts: []directory.Account{static.Box("box@a.test", ""), off, full, unsure, static.Box("copy@a.test", ""),
			static.Box("away@a.test", ""), static.Box("box@closed.test", "")},
		Aliases: map[string][]string{
			"list@a.test": {"box@a.test", "x@elsewhere.test"}, "copy@a.test": {"copy@a.test", "x@elsewhere.test"},
			"away@a.test": {"x@elsewhere.test"}, "dead@a.test": {"nobody@a.test"}, "shut@a.test": {"off@a.test", "gone@a.test"},
			"fulls@a.test": {"nobody@a.test", "full@a.test"}, "some@a.test": {"full@a.test", "box@a.test"},
			"one@a.test": {"two@a.test"}, "two@a.test": {"one@a.test"}, "self@a.test": {"self@a.test"}, "many@a.test": {"1@e.test", "2@e.test", "3@e.test"},
			"closed@a.test": {"box@closed.test"}, "perhaps@a.test": {"unsure@a.test"},
		},
		Relocated:  map[string]string{"gone@a.test": "new@b.test", "asked@a.test": "ask Bob"},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fits knows full@ and unsure@.
func fits(_ context.Context, box directory.Mailbox, size int64) *dsn.Error {
	switch {
	case size != 7:
		return dsn.New(dsn.MailSystem, "the size is lost")
	case box.Home == "a.test/full":
		return dsn.New(dsn.MailboxFull, "of the store")
	}
	return dsn.New(dsn.MailSystem, "of the store")
}

func TestDecide(t *testing.T) {
	t.Parallel()
	d := hosted(t)
	q := directory.Question{Aliases: directory.Limits{Depth: 4, Addresses: 2}, Fits: fits, Size: 7}
	expanded := q
	expanded.Expanded = true
	for _, c := range []struct {
		ask           string
		before, after directory.Verdict
		status, text  string // of before
	}{
		{"box@a.test", directory.Deliver, directory.Deliver, "", ""},
		{"Box+x@alias.test", directory.Deliver, directory.Deliver, "", ""},
		{"nobody@a.test", directory.Unknown, directory.Unknown, "5.1.1", "User unknown"},
		{"nobody@closed.test", directory.Suspended, directory.Suspended, "5.2.1", "Domain is disabled"},
		{"box@closed.test", directory.Suspended, directory.Suspended, "5.2.1", "Domain is disabled"},
		{"off@a.test", directory.Suspended, directory.Suspended, "5.2.1", "Mailbox is disabled"},
		{"gone@a.test", directory.Relocated, directory.Relocated, "5.1.6", "User has moved; please try <new@b.test>"},
		{"asked@a.test", directory.Relocated, directory.Relocated, "5.1.6", "User has moved; please try ask Bob"},
		{"full@a.test", directory.OverQuota, directory.OverQuota, "5.2.2", "Mailbox is full"},
		{"unsure@a.test", directory.Deliver, directory.Deliver, "", ""},
		{"perhaps@a.test", directory.Forward, directory.Unknown, "", ""},
		{"x@elsewhere.test", directory.Foreign, directory.Foreign, "", ""},
		{"list@a.test", directory.Forward, directory.Unknown, "", ""},
		{"copy@a.test", directory.Forward, directory.Deliver, "", ""},
		{"away@a.test", directory.Forward, directory.Deliver, "", ""},
		{"some@a.test", directory.Forward, directory.Unknown, "", ""},
		{"dead@a.test", directory.Unknown, directory.Unknown, "5.1.1", "User unknown"},
		{"self@a.test", directory.Unknown, directory.Unknown, "5.1.1", "User unknown"},
		{"shut@a.test", directory.Suspended, directory.Unknown, "5.2.1", "Mailbox is disabled"},
		{"closed@a.test", directory.Suspended, directory.Unknown, "5.2.1", "Domain is disabled"},
		{"fulls@a.test", directory.OverQuota, directory.Unknown, "5.2.2", "Mailbox is full"},
		{"one@a.test", directory.Unexpandable, directory.Unknown, "5.4.6", "Alias loop"},
		{"many@a.test", directory.Unexpandable, directory.Unknown, "4.3.5", "Alias expansion error"},
	} {
		a := parse(t, c.ask)
		got := d.Decide(t.Context(), a, q)
		if got.Verdict != c.before || (got.Err == nil) != (c.status == "") || got.Err != nil && (got.Err.Status.String() != c.status || got.Err.Text != c.text) {
			t.Errorf("%s: %s, %v; want %s %s %s", c.ask, got.Verdict, got.Err, c.before, c.status, c.text)
		}
		if got.Taken() != (got.Err == nil) {
			t.Errorf("%s: %s, %v", c.ask, got.Verdict, got.Err)
		}
		if after := d.Decide(t.Context(), a, expanded); after.Verdict != c.after || after.Taken() != (after.Err == nil) {
			t.Errorf("%s, expanded: %s, %v; want %s", c.ask, after.Verdict, after.Err, c.after)
		}
		if known := got.QuotaUnknown == nil; known == (c.ask == "unsure@a.test" || c.ask == "perhaps@a.test") {
			t.Errorf("%s: the quota is not known: %v", c.ask, got.QuotaUnknown)
		}
	}
	q.OverQuotaTemporary = true
	for _, ask := range []string{"full@a.test", "fulls@a.test"} {
		got := d.Decide(t.Context(), parse(t, ask), q)
		if got.Verdict != directory.OverQuota || got.Err.Status != dsn.MailboxFullNow || got.Err.Code != 452 {
			t.Errorf("%s, temporary: %v", ask, got.Err)
		}
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	d := hosted(t)
	for ask, want := range map[string]string{
		"copy@a.test":      "a.test/copy",
		"full@a.test":      "a.test/full", // room is the store's to say
		"list@a.test":      "5.1.1 User unknown: the address is an alias and has no mailbox",
		"x@elsewhere.test": "5.1.1 User unknown",
		"nobody@a.test":    "5.1.1 User unknown",
	} {
		decided := d.Destination(t.Context(), parse(t, ask))
		got := decided.Found.Mailbox.Home
		if decided.Err != nil {
			got = decided.Err.Status.String() + " " + decided.Err.Text
		}
		if got != want {
			t.Errorf("%s: %s, want %s", ask, got, want)
		}
	}
}

// TestUndecided: a failure is never "not found", and its cause is not lost.
func TestUndecided(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for outcome, want := range map[directory.Outcome]dsn.Status{
		directory.Unavailable: dsn.MailSystem, directory.Misconfigured: dsn.Misconfigured,
	} {
		d := static.Broken{Outcome: outcome, Cause: down}.Directory()
		for _, got := range []directory.Decision{
			d.Decide(t.Context(), parse(t, "a@b.test"), directory.Question{}), d.Destination(t.Context(), parse(t, "a@b.test")),
		} {
			if got.Verdict != directory.Undecided || got.Err.Status != want || !got.Err.Temporary() || !errors.Is(got.Err, down) || strings.Contains(got.Err.Text, "down") {
				t.Errorf("%s: %s, %v", outcome, got.Verdict, got.Err)
			}
		}
	}
}
