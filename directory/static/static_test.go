package static_test

import (
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	tabletest.Run(t, tabletest.Subject{
		Healthy: func(t *testing.T, data static.Data) directory.Backend {
			d, err := static.NewTable(data)
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Failing: func(_ *testing.T, outcome directory.Outcome) directory.Backend {
			return static.Broken{Outcome: outcome}
		},
	})
}

func TestNewRefusesContradictions(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]static.Data{
		"two kinds": {
			Domains:   static.Hosted("a.test"),
			Accounts:  []directory.Account{static.Box("x@a.test", "")},
			Relocated: map[string]string{"X@a.test": "elsewhere"},
		},
		"not hosted":   {Accounts: []directory.Account{static.Box("x@a.test", "")}},
		"no target":    {Domains: static.Hosted("a.test"), Aliases: map[string][]string{"x@a.test": nil}},
		"bad target":   {Domains: static.Hosted("a.test"), Aliases: map[string][]string{"x@a.test": {"a b"}}},
		"bad address":  {Domains: static.Hosted("a.test"), Relocated: map[string]string{"a b": "x"}},
		"bad domain":   {Domains: static.Hosted("-")},
		"alias of own": {Domains: []directory.Domain{{Name: "a.test", AliasOf: "a.test"}}},
		"in an alias domain": {
			Domains:  append(static.Hosted("a.test"), directory.Domain{Name: "b.test", AliasOf: "a.test"}),
			Accounts: []directory.Account{static.Box("x@b.test", "")},
		},
	} {
		if _, err := static.New(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
