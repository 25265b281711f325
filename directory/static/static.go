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
	// Accounts are the mailboxes. An empty Home becomes "domain/local". An
	// answer's Enabled is true only when the domain asked for is enabled, too.
	Accounts []directory.Account
	// Aliases maps an address, or "@domain" for a catch-all, to its targets.
	// The address may be a mailbox, too.
	Aliases map[string][]string
	// Relocated maps an address to where it went.
	Relocated map[string]string
	// Delimiters are the characters that begin an extension; empty turns
	// extensions off.
	Delimiters string
}

// Directory answers from memory. Safe for concurrent use.
type Directory struct {
	delimiters string
	domains    map[string]directory.Domain
	recipients map[addr.Address]directory.Recipient
	hashes     map[addr.Address]string
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

// New builds the directory.
func New(data Data) (*Directory, error) {
	d := &Directory{
		delimiters: data.Delimiters,
		domains:    map[string]directory.Domain{},
		recipients: map[addr.Address]directory.Recipient{},
		hashes:     map[addr.Address]string{},
	}
	if err := d.addDomains(data.Domains); err != nil {
		return nil, err
	}
	for _, a := range data.Accounts {
		if err := d.addAccount(a); err != nil {
			return nil, err
		}
	}
	for address, targets := range data.Aliases {
		if err := d.addAlias(address, targets); err != nil {
			return nil, err
		}
	}
	for address, to := range data.Relocated {
		local, domain, err := cutAddress(address)
		if err != nil {
			return nil, err
		}
		r := directory.Recipient{Kind: directory.KindRelocated, Matched: addr.Address{Local: local, Domain: domain}, MovedTo: to}
		if err := d.add(r); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Directory) addDomains(domains []directory.Domain) error {
	for _, dom := range domains {
		name, err := addr.ParseDomain(dom.Name)
		if err != nil {
			return fmt.Errorf("domain %q: %w", dom.Name, err)
		}
		dom.Name = name
		d.domains[name] = dom
	}
	for name, dom := range d.domains {
		if dom.AliasOf == "" {
			continue
		}
		target, ok := d.domains[dom.AliasOf]
		if !ok || target.AliasOf != "" {
			return fmt.Errorf("domain %q: stands for %q, which is no real domain", name, dom.AliasOf)
		}
		dom.Enabled = dom.Enabled && target.Enabled
		d.domains[name] = dom
	}
	return nil
}

func (d *Directory) addAccount(a directory.Account) error {
	m := a.Mailbox
	m.Address = m.Address.Fold()
	if m.Home == "" {
		m.Home = m.Address.Domain + "/" + m.Address.Local
	}
	d.hashes[m.Address] = a.PasswordHash
	return d.add(directory.Recipient{Kind: directory.KindMailbox, Matched: m.Address, Mailbox: m})
}

func (d *Directory) addAlias(address string, targets []string) error {
	local, domain, err := cutAddress(address)
	if err != nil {
		return err
	}
	r := directory.Recipient{Kind: directory.KindAlias, Matched: addr.Address{Local: local, Domain: domain}}
	for _, t := range targets {
		target, err := addr.Parse(t)
		if err != nil {
			return fmt.Errorf("alias %q: target %q: %w", address, t, err)
		}
		r.Targets = append(r.Targets, target)
	}
	if len(r.Targets) == 0 {
		return fmt.Errorf("alias %q: no target", address)
	}
	return d.add(r)
}

func (d *Directory) add(r directory.Recipient) error {
	r.Matched = r.Matched.Fold()
	if dom, ok := d.domains[r.Matched.Domain]; !ok || dom.AliasOf != "" {
		return fmt.Errorf("%s: the domain is not hosted, or stands for another", r.Matched)
	}
	if there, twice := d.recipients[r.Matched]; twice {
		if there.Kind != directory.KindMailbox || r.Kind != directory.KindAlias {
			return fmt.Errorf("%s: given twice", r.Matched)
		}
		r.Mailbox = there.Mailbox
	}
	d.recipients[r.Matched] = r
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

// Domain implements directory.Directory.
func (d *Directory) Domain(_ context.Context, name string) (directory.Domain, error) {
	dom, ok := d.domains[name]
	if !ok {
		return directory.Domain{}, directory.Missing("static:domains", name)
	}
	return dom, nil
}

// Recipient implements directory.Directory.
func (d *Directory) Recipient(_ context.Context, a addr.Address) (directory.Recipient, error) {
	domain := d.domains[a.Domain]
	real := a.WithDomain(d.realDomain(a.Domain))
	base, extension := real.SplitExtension(d.delimiters)
	for _, candidate := range []struct {
		key       addr.Address
		extension string
	}{
		{real.Fold(), ""}, {base.Fold(), extension}, {addr.Address{Domain: real.Domain}, ""},
	} {
		if r, ok := d.recipients[candidate.key]; ok {
			r.Mailbox.Enabled = r.Mailbox.Enabled && domain.Enabled
			r.Extension = candidate.extension
			return r, nil
		}
	}
	return directory.Recipient{}, directory.Missing("static:recipients", a.Key())
}

// Account implements directory.Directory.
func (d *Directory) Account(_ context.Context, login string) (directory.Account, error) {
	a, err := addr.Parse(login)
	if err != nil {
		return directory.Account{}, directory.Missing("static:accounts", login)
	}
	domain := d.domains[a.Domain]
	r, ok := d.recipients[a.WithDomain(d.realDomain(a.Domain)).Fold()]
	if !ok || r.Mailbox.Home == "" {
		return directory.Account{}, directory.Missing("static:accounts", login)
	}
	r.Mailbox.Enabled = r.Mailbox.Enabled && domain.Enabled
	return directory.Account{Mailbox: r.Mailbox, PasswordHash: d.hashes[r.Matched]}, nil
}

// realDomain follows an alias domain.
func (d *Directory) realDomain(name string) string {
	if to := d.domains[name].AliasOf; to != "" {
		return to
	}
	return name
}
