package authz

import (
	"slices"
	"testing"

	"toastmaster/admin/model"
)

// TestNobodyReachesBeyondTheScope goes through every role, object, action and place:
// outside of the scope only a superadmin may do anything, and nobody but a superadmin
// may do anything to the system.
func TestNobodyReachesBeyondTheScope(t *testing.T) {
	t.Parallel()
	for _, p := range []Principal{
		{Role: Reseller, Scope: []string{"a.test", "b.test"}}, {Role: DomainAdmin, Scope: []string{"a.test"}}, {Role: MailboxUser, Scope: []string{"me@a.test"}},
		{Role: Reseller}, {Role: DomainAdmin}, {Role: MailboxUser}, {Role: "unknown", Scope: []string{"a.test"}}, {Scope: []string{"a.test"}}, {Role: Superadmin},
	} {
		for _, object := range []Object{0, System, Domain, Address, Address + 1} {
			for _, action := range []Action{0, Read, Write, List, List + 1} {
				for _, domain := range []string{"", "a.test", "b.test", "c.test", "A.TEST", "a.test."} {
					for _, address := range []string{"", "me@a.test", "you@a.test", "me@b.test", "ME@a.test"} {
						target := Target{Object: object, Domain: domain, Address: address}
						may := p.May(action, target)
						if err := p.Check(action, target); (err == nil) != may || err != nil && model.KindOf(err) != model.Forbidden {
							t.Fatalf("%+v: May %v, Check %v", target, may, err)
						}
						if p.Role == Superadmin {
							if !may {
								t.Errorf("a superadmin may not %d %+v", action, target)
							}
							continue
						}
						if !may {
							continue
						}
						switch {
						case object == System || object == 0 || object > Address:
							t.Errorf("%s may %d %+v", p.Role, action, target)
						case p.Role == MailboxUser && !slices.Contains(p.Scope, address):
							t.Errorf("a mailbox user may %d %+v", action, target)
						case p.Role != MailboxUser && domain != "" && !slices.Contains(p.Scope, domain):
							t.Errorf("%s of %v may %d %+v", p.Role, p.Scope, action, target)
						case domain == "" && action != List && p.Role != MailboxUser:
							t.Errorf("%s may %d all domains", p.Role, action)
						case p.Role == DomainAdmin && object == Domain && action == Write:
							t.Errorf("a domain admin may change %+v", target)
						case action == 0 || action > List:
							t.Errorf("%s may do what is no action: %d", p.Role, action)
						}
					}
				}
			}
		}
	}
}

// TestVisible is what a listing may show: all for a superadmin, the scope for who has
// domains, nothing for anybody else; and it is a copy.
func TestVisible(t *testing.T) {
	t.Parallel()
	if v := (Principal{Role: Superadmin, Scope: []string{"a.test"}}).Visible(); v != nil {
		t.Errorf("a superadmin sees only %v", v)
	}
	for _, p := range []Principal{{Role: Reseller, Scope: []string{"", "a.test", "b.test"}}, {Role: DomainAdmin, Scope: []string{"a.test", "", "b.test"}}} {
		v := p.Visible()
		if v == nil || !slices.Equal(v.Domains, []string{"a.test", "b.test"}) {
			t.Fatalf("%s sees %v", p.Role, v)
		}
		v.Domains[0] = "evil.test"
		if slices.Contains(p.Scope, "evil.test") || slices.Contains(p.Visible().Domains, "evil.test") {
			t.Error("the scope itself was given away")
		}
	}
	for _, p := range []Principal{{Role: MailboxUser, Scope: []string{"me@a.test"}}, {Role: "unknown", Scope: []string{"a.test"}}, {}, {Role: DomainAdmin}, {Role: Reseller, Scope: []string{""}}} {
		if v := p.Visible(); v == nil || len(v.Domains) > 0 {
			t.Errorf("%s of %v sees %v", p.Role, p.Scope, v)
		}
	}
}

// TestWhatIsSeenMayBeRead: a listing shows no domain that may not be read one by one.
func TestWhatIsSeenMayBeRead(t *testing.T) {
	t.Parallel()
	for _, role := range []Role{Reseller, DomainAdmin, MailboxUser, "unknown", ""} {
		p := Principal{Role: role, Scope: []string{"a.test", "b.test", ""}}
		for _, domain := range p.Visible().Domains {
			for _, object := range []Object{Domain, Address} {
				if !p.May(Read, Target{Object: object, Domain: domain}) || !p.May(List, Target{Object: object, Domain: domain}) {
					t.Errorf("%s sees %s in a list and may not read it", role, domain)
				}
			}
		}
	}
}

// TestRolesOfTokens: a token is made for a superadmin and nobody else, until the panel
// can log others in.
func TestRolesOfTokens(t *testing.T) {
	t.Parallel()
	for role, want := range map[Role]bool{Superadmin: true, Reseller: false, DomainAdmin: false, MailboxUser: false, "": false, "SUPERADMIN": false, "root": false} {
		if Known(role) != want {
			t.Errorf("%q: %v", role, !want)
		}
	}
}
