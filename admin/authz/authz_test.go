package authz

import (
	"testing"

	"toastmaster/admin/model"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var (
		system  = Target{Object: System}
		all     = Target{Object: Domain}
		domain  = Target{Object: Domain, Domain: "a.test"}
		other   = Target{Object: Domain, Domain: "b.test"}
		mine    = Target{Object: Address, Domain: "a.test", Address: "me@a.test"}
		next    = Target{Object: Address, Domain: "a.test", Address: "you@a.test"}
		foreign = Target{Object: Address, Domain: "b.test", Address: "me@b.test"}
	)
	type may struct{ read, write bool }
	yes, no, look := may{true, true}, may{}, may{read: true}
	for _, c := range []struct {
		p    Principal
		want map[Target]may
	}{
		{Principal{Role: Superadmin}, map[Target]may{system: yes, all: yes, domain: yes, other: yes, mine: yes, next: yes, foreign: yes}},
		{Principal{Role: Reseller, Scope: []string{"a.test"}}, map[Target]may{system: no, all: no, domain: yes, other: no, mine: yes, next: yes, foreign: no}},
		{Principal{Role: DomainAdmin, Scope: []string{"a.test"}}, map[Target]may{system: no, all: no, domain: look, other: no, mine: yes, next: yes, foreign: no}},
		{Principal{Role: MailboxUser, Scope: []string{"me@a.test"}}, map[Target]may{system: no, all: no, domain: no, other: no, mine: yes, next: no, foreign: no}},
		{Principal{Role: "root", Scope: []string{"a.test", ""}}, map[Target]may{system: no, all: no, domain: no, mine: no}},
		{Principal{}, map[Target]may{system: no, domain: no, mine: no, {}: no}},
		{Principal{Role: DomainAdmin, Scope: []string{""}}, map[Target]may{all: no, {Object: Address}: no}},
	} {
		for target, want := range c.want {
			if got := (may{c.p.May(Read, target), c.p.May(Write, target)}); got != want {
				t.Errorf("%s on %+v: %+v, want %+v", c.p.Role, target, got, want)
			}
			if err := c.p.Check(Write, target); (err == nil) != want.write || err != nil && model.KindOf(err) != model.Forbidden {
				t.Errorf("Check: %v", err)
			}
		}
	}
}
