package static

import (
	"context"
	"fmt"

	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// Data is the hosted data. Addresses are strings as users write them.
type Data struct {
	Domains []directory.Domain
	// Accounts are the mailboxes. An empty Home becomes "domain/local".
	Accounts []directory.Account
	// Aliases maps an address, or "@domain" for a catch-all, to its targets.
	// The address may be a mailbox, too.
	Aliases map[string][]string
	// Relocated maps an address to where it went.
	Relocated map[string]string
	// Delimiters are the characters that begin an extension; empty turns
	// extensions off. They are New's: a Table has exact keys.
	Delimiters string
}

// Table is a directory.Backend in memory. Safe for concurrent use.
type Table struct {
	domains map[string]directory.Domain
	// entries have the hash, which only a log-in gets.
	entries map[addr.Address]directory.Entry
}

// Hosted makes enabled domains from names.
func Hosted(names ...string) []directory.Domain {
	var out []directory.Domain
	for _, n := range names {
		out = append(out, directory.Domain{Name: n, Enabled: true})
	}
	return out
}

// Box makes an enabled mailbox without quota; it may be changed before New.
func Box(address, passwordHash string) directory.Account {
	local, domain, _ := cutAddress(address)
	return directory.Account{
		Mailbox:      directory.Mailbox{Address: addr.Address{Local: local, Domain: domain}, Enabled: true},
		PasswordHash: passwordHash,
	}
}

// New builds a directory over a table of data.
func New(data Data) (*directory.Directory, error) {
	t, err := NewTable(data)
	if err != nil {
		return nil, err
	}
	return directory.New(t, data.Delimiters), nil
}

// NewTable checks and folds the data.
func NewTable(data Data) (*Table, error) {
	t := &Table{domains: map[string]directory.Domain{}, entries: map[addr.Address]directory.Entry{}}
	if err := t.addDomains(data.Domains); err != nil {
		return nil, err
	}
	for _, a := range data.Accounts {
		if err := t.addAccount(a); err != nil {
			return nil, err
		}
	}
	for address, targets := range data.Aliases {
		if err := t.addAlias(address, targets); err != nil {
			return nil, err
		}
	}
	for address, to := range data.Relocated {
		if err := t.add(address, directory.Entry{MovedTo: to}); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Table) addDomains(domains []directory.Domain) error {
	for _, dom := range domains {
		name, err := addr.ParseDomain(dom.Name)
		if err != nil {
			return fmt.Errorf("domain %q: %w", dom.Name, err)
		}
		if _, twice := t.domains[name]; twice {
			return fmt.Errorf("domain %q: given twice", name)
		}
		dom.Name = name
		if dom.AliasOf != "" {
			if dom.AliasOf, err = addr.ParseDomain(dom.AliasOf); err != nil {
				return fmt.Errorf("domain %q: what it stands for: %w", name, err)
			}
		}
		t.domains[name] = dom
	}
	for name, dom := range t.domains {
		if dom.AliasOf == "" {
			continue
		}
		target, ok := t.domains[dom.AliasOf]
		if !ok || target.AliasOf != "" {
			return fmt.Errorf("domain %q: stands for %q, which is no real domain", name, dom.AliasOf)
		}
		dom.Enabled = dom.Enabled && target.Enabled
		t.domains[name] = dom
	}
	return nil
}

func (t *Table) addAccount(a directory.Account) error {
	m := a.Mailbox
	m.Address = m.Address.Fold()
	if m.Home == "" {
		m.Home = m.Address.Domain + "/" + m.Address.Local
	}
	return t.add(m.Address.String(), directory.Entry{Mailbox: m, PasswordHash: a.PasswordHash})
}

func (t *Table) addAlias(address string, texts []string) error {
	var targets []addr.Address
	for _, text := range texts {
		target, err := addr.Parse(text)
		if err != nil {
			return fmt.Errorf("alias %q: target %q: %w", address, text, err)
		}
		targets = append(targets, target)
	}
	if len(targets) == 0 {
		return fmt.Errorf("alias %q: no target", address)
	}
	return t.add(address, directory.Entry{Targets: targets})
}

// add puts an entry under an address. Only an alias comes to a mailbox.
func (t *Table) add(address string, e directory.Entry) error {
	local, domain, err := cutAddress(address)
	if err != nil {
		return err
	}
	key := addr.Address{Local: local, Domain: domain}.Fold()
	if dom, ok := t.domains[domain]; !ok || dom.AliasOf != "" {
		return fmt.Errorf("%s: the domain is not hosted, or stands for another", key)
	}
	if there, twice := t.entries[key]; twice {
		if there.Mailbox.Home == "" || len(there.Targets) > 0 || len(e.Targets) == 0 {
			return fmt.Errorf("%s: given twice", key)
		}
		there.Targets = e.Targets
		e = there
	}
	t.entries[key] = e
	return nil
}

// cutAddress is addr.Parse that also takes the "@domain" of a catch-all.
func cutAddress(s string) (local, domain string, err error) {
	if s != "" && s[0] == '@' {
		domain, err = addr.ParseDomain(s[1:])
		return "", domain, err
	}
	a, err := addr.Parse(s)
	if err != nil {
		return "", "", fmt.Errorf("address %q: %w", s, err)
	}
	return a.Local, a.Domain, nil
}

// Entry implements directory.Backend.
func (t *Table) Entry(_ context.Context, key directory.Key) (directory.Entry, error) {
	if key.Kind == directory.OfDomain {
		dom, ok := t.domains[key.Domain]
		if !ok {
			return directory.Entry{}, directory.Missing("static:domains", key.Domain)
		}
		return directory.Entry{Domain: dom}, nil
	}
	e, ok := t.entries[key.Address()]
	if key.Kind == directory.OfLogin {
		if !ok || e.Mailbox.Home == "" {
			return directory.Entry{}, directory.Missing("static:accounts", key.String())
		}
		return directory.Entry{Mailbox: e.Mailbox, PasswordHash: e.PasswordHash}, nil
	}
	if !ok {
		return directory.Entry{}, directory.Missing("static:recipients", key.String())
	}
	e.PasswordHash, e.Mailbox.Credential = "", ""
	return e, nil
}
