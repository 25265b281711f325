package literal

import (
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
)

func TestALiteralOfOursIsTheHost(t *testing.T) {
	t.Parallel()
	inner, err := static.NewTable(static.Data{
		Domains:  append(static.Hosted("example.test"), directory.Domain{Name: "mx.test", AliasOf: "example.test", Enabled: true}),
		Accounts: []directory.Account{static.Box("alice@example.test", "")},
		Aliases:  map[string][]string{"root@example.test": {"alice@example.test"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ours := func(domain string) bool { return domain == "[127.0.0.1]" }
	for _, hostname := range []string{"mx.test", "example.test"} {
		d := directory.New(New(Options{Under: inner, Hostname: hostname, Ours: ours}), "+")
		if got, err := d.Domain(t.Context(), "[127.0.0.1]"); err != nil || got != (directory.Domain{Name: "[127.0.0.1]", AliasOf: "example.test", Enabled: true}) {
			t.Errorf("%s: %+v %v", hostname, got, err)
		}
		for local, want := range map[string]directory.Kind{"Alice+x": directory.KindMailbox, "root": directory.KindAlias, "nobody": 0} {
			got, err := d.Recipient(t.Context(), addr.Address{Local: local, Domain: "[127.0.0.1]"})
			if got.Kind != want || want == 0 && directory.OutcomeOf(err) != directory.NotFound {
				t.Errorf("%s: %+v %v", local, got, err)
			}
		}
		to, err := directory.Expand(t.Context(), d, addr.Address{Local: "Alice", Domain: "[127.0.0.1]"}, directory.Limits{Depth: 4, Addresses: 4}, nil)
		if err != nil || len(to) != 1 || to[0].String() != "Alice@example.test" {
			t.Errorf("%v %v", to, err)
		}
		if _, err := d.Domain(t.Context(), "[192.0.2.1]"); directory.OutcomeOf(err) != directory.NotFound {
			t.Errorf("another host's: %v", err)
		}
	}
	if _, err := directory.New(New(Options{Under: inner, Hostname: "unhosted.test", Ours: ours}), "").Domain(t.Context(), "[127.0.0.1]"); directory.OutcomeOf(err) != directory.NotFound {
		t.Errorf("a host that is not hosted: %v", err)
	}
}
