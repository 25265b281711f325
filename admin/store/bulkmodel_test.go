package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"toastmaster/admin/model"
)

// TestBulkIsAsOneByOne: many aliases at once have the verdicts, and leave the rows,
// the counts and the audit, that they have one after the other: loops and chains among
// themselves, limits, mailboxes beside, catch-alls, alias domains, extensions.
func TestBulkIsAsOneByOne(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 1))
		many, single := newBench(t), newBench(t)
		for _, b := range []*bench{many, single} {
			b.domain(t, "a.test")
			must(b.AddDomain(ctx, me, model.NewDomain{Name: "b.test", DomainChange: model.DomainChange{MaxAliases: ptr(int64(6))}}))(t)
			must(b.AddDomain(ctx, me, model.NewDomain{Name: "c.test", AliasOf: "a.test"}))(t)
			for _, address := range []string{"x0@a.test", "x1@b.test", "m@a.test"} {
				must(b.AddMailbox(ctx, me, model.NewMailbox{Address: address}))(t)
			}
			must(b.AddAlias(ctx, me, alias("x2@a.test", "x3@a.test")))(t)
			must(b.AddRelocated(ctx, me, model.NewRelocated{Address: "x4@b.test", RelocatedChange: model.RelocatedChange{MovedTo: "y@y.test"}}))(t)
		}
		address := func() string {
			local := fmt.Sprintf("%s%d", []string{"x", "X"}[r.IntN(2)], r.IntN(8))
			switch r.IntN(12) {
			case 0:
				local = ""
			case 1:
				local += "+ext"
			case 2:
				local = "m"
			}
			return local + "@" + []string{"a.test", "b.test", "a.test", "b.test", "c.test", "y.test"}[r.IntN(6)]
		}
		var in []model.NewAlias
		for range 40 {
			a := alias(address())
			for range 1 + r.IntN(3) {
				a.Targets = append(a.Targets, address())
			}
			in = append(in, a)
		}
		var want []model.BulkResult
		for _, a := range in {
			want = append(want, oneResult(t, single, a))
		}
		for _, dry := range []bool{true, false} {
			copied := make([]model.NewAlias, len(in))
			for i := range in {
				copied[i] = alias(in[i].Address, slices.Clone(in[i].Targets)...)
			}
			for i, got := range must(many.AddAliases(ctx, me, copied, dry))(t) {
				if got != want[i] {
					t.Errorf("seed %d, dry %v, %d: %v: %+v, alone %+v", seed, dry, i, in[i], got, want[i])
				}
			}
		}
		if got, want := rows(t, many), rows(t, single); got != want {
			t.Errorf("seed %d: the tables have\n%s\nand one by one\n%s", seed, got, want)
		}
		if t.Failed() {
			t.Fatalf("%v", in)
		}
	}
}

// oneResult is what a bulk addition answers, of AddAlias.
func oneResult(t *testing.T, b *bench, in model.NewAlias) model.BulkResult {
	t.Helper()
	ctx := context.Background()
	_, err := b.AddAlias(ctx, me, in)
	named := alias(in.Address, slices.Clone(in.Targets)...)
	_ = named.Normalize()
	out := model.BulkResult{Address: named.Address, Result: model.BulkAdded}
	if err == nil {
		return out
	}
	if model.KindOf(err) == model.Exists {
		if _, missing := b.Alias(ctx, named.Address); missing == nil {
			out.Result = model.BulkExists
			return out
		}
	}
	out.Result, out.Error = model.BulkFailed, err.Error()
	return out
}

// rows are the hosted data, the audit, and the counts beside what is counted.
func rows(t *testing.T, b *bench) string {
	t.Helper()
	ctx := context.Background()
	aliases := must(b.Aliases(ctx, model.Filter{}, "", 1000))(t)
	audit := must(b.Audit(ctx, "", "", 0, 1000))(t)
	for i := range audit {
		audit[i].ID = 0 // one that was refused alone took a number
	}
	counts := must(b.Counts(ctx))(t)
	var n int64
	if err := b.reader.QueryRow("SELECT count(*) FROM addresses WHERE kind = 'alias'").Scan(&n); err != nil || n != counts.Aliases {
		t.Errorf("%d aliases are counted, there are %d (%v)", counts.Aliases, n, err)
	}
	text, err := json.MarshalIndent([]any{aliases, audit, counts}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
