package tabletest

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// locals and names are what random data is made of: few, so that they meet.
var (
	locals = []string{"a", "b", "c", "a+x", "b+y+z", "postmaster", "d.e", "f_g"}
	names  = []string{"one.test", "two.test", "alias.test", "off.test", "offalias.test", "closedalias.test"}
)

// Random is data in which everything meets everything: mailboxes with and without
// aliases beside them, catch-alls, loops, chains, extensions, disabled domains and
// mailboxes, domains that stand for others.
func Random(r *rand.Rand) static.Data {
	data := static.Data{
		Domains: append(static.Hosted("one.test", "two.test"),
			directory.Domain{Name: "alias.test", AliasOf: "one.test", Enabled: true},
			directory.Domain{Name: "off.test"},
			directory.Domain{Name: "offalias.test", AliasOf: "off.test", Enabled: true},
			directory.Domain{Name: "closedalias.test", AliasOf: "two.test"}),
		Aliases: map[string][]string{}, Relocated: map[string]string{}, Delimiters: "+",
	}
	one := func(of []string) string { return of[r.IntN(len(of))] }
	for _, domain := range []string{"one.test", "two.test", "off.test"} {
		for _, local := range locals {
			address := local + "@" + domain
			kind := r.IntN(8)
			if kind < 3 || kind == 6 {
				box := static.Box(address, "{PLAIN}x")
				box.Mailbox.Enabled = r.IntN(4) > 0
				box.Mailbox.QuotaBytes = int64(r.IntN(3) * 1000)
				data.Accounts = append(data.Accounts, box)
			}
			if kind >= 2 && kind < 5 || kind == 6 {
				for range 1 + r.IntN(3) {
					target := one(locals) + "@" + one(append(names, "elsewhere.test"))
					if !contains(data.Aliases[address], target) {
						data.Aliases[address] = append(data.Aliases[address], target)
					}
				}
			}
			if kind == 5 {
				data.Relocated[address] = "new@elsewhere.test"
			}
		}
		if r.IntN(3) == 0 {
			data.Aliases["@"+domain] = []string{one(locals) + "@" + one(names)}
		}
	}
	return data
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// Universe is the addresses that random data may be asked about.
func Universe() []addr.Address {
	var out []addr.Address
	for _, domain := range append(names, "elsewhere.test", "[192.0.2.1]") {
		for _, local := range append(locals, "A", "a+X", "a+", "nobody", "nobody+x", "Postmaster") {
			out = append(out, addr.Address{Local: local, Domain: domain})
		}
	}
	return out
}

// Questions are the ways in which services ask.
func Questions() []directory.Question {
	limits := directory.Limits{Depth: 4, Addresses: 5}
	fits := func(_ context.Context, box directory.Mailbox, size int64) *dsn.Error {
		if size > box.QuotaBytes {
			return dsn.New(dsn.MailboxFull, "full")
		}
		return nil
	}
	return []directory.Question{
		{Aliases: limits}, {Expanded: true},
		{Aliases: limits, Fits: fits, Size: 1500}, {Aliases: limits, Fits: fits, Size: 1500, OverQuotaTemporary: true},
	}
}

// random: a back end and the table in memory give the same decisions about random
// data.
func random(t *testing.T, s Subject) {
	for seed := range uint64(4) {
		data := Random(rand.New(rand.NewPCG(seed, 1)))
		want, err := static.New(data)
		if err != nil {
			t.Fatal(err)
		}
		Same(t, want, directory.New(s.Healthy(t, data), data.Delimiters))
	}
}

// Same asks two directories about everybody, in every way.
func Same(t *testing.T, want, got *directory.Directory) {
	t.Helper()
	ctx := context.Background()
	for _, a := range Universe() {
		for i, q := range Questions() {
			// The causes are each back end's own.
			w, g := want.Decide(ctx, a, q), got.Decide(ctx, a, q)
			if reply(w.Err) != reply(g.Err) {
				t.Errorf("%s, question %d: %s %s, want %s %s", a, i, g.Verdict, reply(g.Err), w.Verdict, reply(w.Err))
			}
			w.Err, g.Err = nil, nil
			if !reflect.DeepEqual(w, g) {
				t.Errorf("%s, question %d: %+v, want %+v", a, i, g, w)
			}
		}
		w, wErr := want.Account(ctx, a.String())
		g, gErr := got.Account(ctx, a.String())
		w.Mailbox.Credential, g.Mailbox.Credential = "", ""
		if w != g || directory.OutcomeOf(wErr) != directory.OutcomeOf(gErr) {
			t.Errorf("account %s: %+v, %v; want %+v, %v", a, g, gErr, w, wErr)
		}
	}
}

func reply(e *dsn.Error) string {
	if e == nil {
		return "-"
	}
	return e.Status.String() + " " + e.Text
}
