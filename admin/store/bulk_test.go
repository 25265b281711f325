package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"toastmaster/admin/model"
)

func alias(address string, targets ...string) model.NewAlias {
	return model.NewAlias{Address: address, AliasChange: model.AliasChange{Targets: targets}}
}

func results(all []model.BulkResult) string {
	var out []string
	for _, r := range all {
		out = append(out, r.Result)
	}
	return strings.Join(out, " ")
}

// TestBulkAliases: what is refused leaves nothing behind, what exists is left
// alone, a dry run changes nothing, limits are kept.
func TestBulkAliases(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "a.test", DomainChange: model.DomainChange{MaxAliases: ptr(int64(4))}}))(t)
	must(b.AddRelocated(ctx, me, model.NewRelocated{Address: "gone@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "x@y.test"}}))(t)
	in := func() []model.NewAlias {
		return []model.NewAlias{
			alias("one@a.test", "x@y.test", "two@a.test"), alias("two@a.test", "z@y.test"), alias("ONE@a.test", "w@y.test"),
			alias("nonsense", "x@y.test"), alias("none@a.test"), alias("gone@a.test", "x@y.test"), alias("x@elsewhere.test", "x@y.test"),
			alias("l1@a.test", "l2@a.test"), alias("l2@a.test", "l1@a.test"), alias("@a.test", "x@y.test"), alias("five@a.test", "x@y.test"),
		}
	}
	const want = "added added exists failed failed failed failed added failed added failed"
	dry := must(b.AddAliases(ctx, me, in(), true))(t)
	if got := results(dry); got != want {
		t.Errorf("dry run: %s", got)
	}
	if page := must(b.Aliases(ctx, model.Filter{}, "", 100))(t); len(page.Items) != 0 {
		t.Errorf("a dry run made %+v", page.Items)
	}
	real := must(b.AddAliases(ctx, me, in(), false))(t)
	if got := results(real); got != want {
		t.Errorf("%s", got)
	}
	for i, r := range real {
		if r != dry[i] || (r.Error != "") != (r.Result == model.BulkFailed) {
			t.Errorf("%d: %+v, dry %+v", i, r, dry[i])
		}
	}
	if !strings.Contains(real[8].Error, "l1@a.test") || !strings.Contains(real[10].Error, "4") {
		t.Errorf("%+v %+v", real[8], real[10])
	}
	page := must(b.Aliases(ctx, model.Filter{}, "", 100))(t)
	if len(page.Items) != 4 {
		t.Errorf("%+v", page.Items)
	}
	if got := results(must(b.AddAliases(ctx, me, in()[:2], false))(t)); got != "exists exists" {
		t.Errorf("again: %s", got)
	}
	relocated := []model.NewRelocated{
		{Address: "r1@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "r@y.test"}}, {Address: "gone@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "r@y.test"}},
		{Address: "one@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "r@y.test"}},
	}
	if got := results(must(b.AddRelocations(ctx, me, relocated, false))(t)); got != "added exists failed" {
		t.Errorf("relocated: %s", got)
	}
	domains := []model.NewDomain{{Name: "b.test"}, {Name: "a.test"}, {Name: "c.test", AliasOf: "b.test"}, {Name: "d.test", AliasOf: "c.test"}, {Name: "-"}}
	if got := results(must(b.AddDomains(ctx, me, domains, false))(t)); got != "added exists added failed failed" {
		t.Errorf("domains: %s", got)
	}
}

func BenchmarkBulkAliases(b *testing.B) {
	s := newBench(b)
	s.domain(b, "a.test")
	i := 0
	for b.Loop() {
		in := make([]model.NewAlias, 2000)
		for j := range in {
			in[j] = alias(fmt.Sprintf("a%d@a.test", i), fmt.Sprintf("x%d@y.test", i))
			i++
		}
		must(s.AddAliases(context.Background(), me, in, false))(b)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i), "ns/alias")
}
