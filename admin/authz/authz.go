package authz

import (
	"slices"

	"toastmaster/admin/model"
)

// Role is what somebody is.
type Role string

// The roles.
const (
	Superadmin  Role = "superadmin"
	Reseller    Role = "reseller"
	DomainAdmin Role = "domain-admin"
	MailboxUser Role = "mailbox-user"
)

// Principal is who calls.
type Principal struct {
	// Name is for the audit and the log: "unix:uid=0", "token:monitoring".
	Name string
	Role Role
	// Scope is the domains of a reseller or domain admin, or the one address
	// of a mailbox user.
	Scope []string
}

// Action is what is to be done.
type Action uint8

// The actions.
const (
	Read Action = iota + 1
	Write
	// List is to see those of a kind that are in the scope (Visible): of one
	// domain, or with the zero Domain of all of the scope.
	List
)

// Object is the kind of thing it is done to.
type Object uint8

// The objects.
const (
	System  Object = iota + 1 // queue, services, tokens, audit
	Domain                    // a domain's own settings
	Address                   // mailboxes, aliases, relocated addresses
)

// Target is one thing. The zero Domain stands for all domains.
type Target struct {
	Object  Object
	Domain  string
	Address string
}

// rule is one thing that a role may do within its scope.
type rule struct {
	object  Object
	actions []Action
}

// rules is the table; a superadmin needs no row.
func rules(r Role) []rule {
	both := []Action{Read, Write}
	switch r {
	case Reseller:
		return []rule{{Domain, both}, {Address, both}}
	case DomainAdmin:
		return []rule{{Domain, []Action{Read}}, {Address, both}}
	case MailboxUser:
		return []rule{{Address, both}}
	}
	return nil
}

// May says whether p may do a to t. An unknown role may do nothing.
func (p Principal) May(a Action, t Target) bool {
	if p.Role == Superadmin {
		return true
	}
	listed := a == List
	if listed {
		a = Read
	}
	allowed := slices.ContainsFunc(rules(p.Role), func(r rule) bool {
		return r.object == t.Object && slices.Contains(r.actions, a)
	})
	if !allowed {
		return false
	}
	if p.Role == MailboxUser {
		return t.Address != "" && slices.Contains(p.Scope, t.Address)
	}
	if t.Domain == "" {
		return listed
	}
	return slices.Contains(p.Scope, t.Domain)
}

// Visible is what a listing may show, nil for everything.
func (p Principal) Visible() *model.Scope {
	switch p.Role {
	case Superadmin:
		return nil
	case Reseller, DomainAdmin:
		return &model.Scope{Domains: slices.DeleteFunc(slices.Clone(p.Scope), func(d string) bool { return d == "" })}
	}
	return &model.Scope{}
}

// Check is May as an error.
func (p Principal) Check(a Action, t Target) error {
	if p.May(a, t) {
		return nil
	}
	return model.Fail(model.Forbidden, "your role does not allow this")
}

// Known says that r is a role that tokens can have.
func Known(r Role) bool { return r == Superadmin }
