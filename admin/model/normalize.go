package model

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/addr"
)

// Limits of what is kept.
const (
	MaxTargets  = 1000
	maxPassword = 1024 // octets, as directory/password
	maxMovedTo  = 500
	maxName     = 100
)

// ParseAddress reads an address with a domain, or with catchAll true
// "@domain" too, and folds it.
func ParseAddress(s string, catchAll bool) (addr.Address, error) {
	if domain, ok := strings.CutPrefix(s, "@"); ok && catchAll {
		d, err := addr.ParseDomain(domain)
		return addr.Address{Domain: d}, err
	}
	a, err := addr.Parse(s)
	if err != nil {
		return a, err
	}
	if a.Domain == "" {
		return a, fmt.Errorf("%w: no domain", addr.ErrSyntax)
	}
	return a.Fold(), nil
}

// normalizeAddress checks and folds the field in place.
func (m *mistakes) normalizeAddress(field string, s *string, catchAll bool) {
	a, err := ParseAddress(*s, catchAll)
	if err != nil {
		m.add(field, err.Error())
		return
	}
	if strings.HasPrefix(a.Domain, "[") {
		m.add(field, "an address literal cannot be hosted")
	}
	*s = a.String()
}

func (m *mistakes) normalizeDomain(field string, s *string) {
	d, err := addr.ParseDomain(*s)
	switch {
	case err != nil:
		m.add(field, err.Error())
	case strings.HasPrefix(d, "["):
		m.add(field, "an address literal cannot be hosted")
	}
	*s = d
}

func (m *mistakes) notNegative(field string, n *int64) {
	if n != nil && *n < 0 {
		m.add(field, "must not be negative")
	}
}

// Normalize folds the names and checks every field.
func (d *NewDomain) Normalize() error {
	var m mistakes
	m.normalizeDomain("name", &d.Name)
	if d.AliasOf != "" {
		m.normalizeDomain("alias_of", &d.AliasOf)
		if d.AliasOf == d.Name && d.Name != "" {
			m.add("alias_of", "a domain cannot stand for itself")
		}
	}
	d.DomainChange.check(&m)
	return m.err()
}

// Normalize checks every field.
func (d *DomainChange) Normalize() error {
	var m mistakes
	d.check(&m)
	return m.err()
}

func (d *DomainChange) check(m *mistakes) {
	m.notNegative("max_mailboxes", d.MaxMailboxes)
	m.notNegative("max_aliases", d.MaxAliases)
	m.notNegative("default_quota_bytes", d.DefaultQuotaBytes)
	m.notNegative("default_quota_messages", d.DefaultQuotaMessages)
}

// Normalize folds the address and checks every field. It does not read the
// password hash: that costs time and is done where hashes are made.
func (b *NewMailbox) Normalize() error {
	var m mistakes
	m.normalizeAddress("address", &b.Address, false)
	b.MailboxChange.check(&m)
	return m.err()
}

// Normalize checks every field.
func (b *MailboxChange) Normalize() error {
	var m mistakes
	b.check(&m)
	return m.err()
}

func (b *MailboxChange) check(m *mistakes) {
	m.notNegative("quota_bytes", b.QuotaBytes)
	m.notNegative("quota_messages", b.QuotaMessages)
	if b.Password != nil {
		if b.PasswordHash != nil {
			m.add("password_hash", "give a password or a hash, not both")
		}
		if text := passwordMistake(*b.Password); text != "" {
			m.add("password", text)
		}
	}
	if b.PasswordHash != nil && len(*b.PasswordHash) > maxPassword {
		m.add("password_hash", "too long")
	}
}

// passwordMistake is "" for a password that every protocol can carry.
func passwordMistake(p string) string {
	switch {
	case p == "":
		return "must not be empty"
	case len(p) > maxPassword:
		return fmt.Sprintf("longer than %d octets", maxPassword)
	case !utf8.ValidString(p):
		return "is not UTF-8"
	case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "has control characters"
	}
	return ""
}

// Normalize folds the address and the targets and checks them.
func (a *NewAlias) Normalize() error {
	var m mistakes
	m.normalizeAddress("address", &a.Address, true)
	a.AliasChange.check(&m)
	return m.err()
}

// Normalize folds the targets and checks them.
func (a *AliasChange) Normalize() error {
	var m mistakes
	a.check(&m)
	return m.err()
}

func (a *AliasChange) check(m *mistakes) {
	switch {
	case len(a.Targets) == 0:
		m.add("targets", "at least one is needed")
	case len(a.Targets) > MaxTargets:
		m.add("targets", fmt.Sprintf("at most %d", MaxTargets))
	}
	seen := map[addr.Address]bool{}
	for i, t := range a.Targets {
		field := fmt.Sprintf("targets[%d]", i)
		// The local part keeps its case: another system may care.
		target, err := addr.Parse(t)
		switch {
		case err != nil:
			m.add(field, err.Error())
		case target.Domain == "":
			m.add(field, fmt.Sprintf("%q has no domain", t))
		case seen[target.Fold()]:
			m.add(field, "is given twice")
		}
		seen[target.Fold()] = true
		a.Targets[i] = target.String()
	}
}

// Normalize folds the address and checks every field.
func (r *NewRelocated) Normalize() error {
	var m mistakes
	m.normalizeAddress("address", &r.Address, false)
	r.RelocatedChange.check(&m)
	return m.err()
}

// Normalize checks the field.
func (r *RelocatedChange) Normalize() error {
	var m mistakes
	r.check(&m)
	return m.err()
}

func (r *RelocatedChange) check(m *mistakes) {
	r.MovedTo = strings.TrimSpace(r.MovedTo)
	// It goes into a reply line: one line of printable text.
	switch {
	case r.MovedTo == "":
		m.add("moved_to", "must not be empty")
	case len(r.MovedTo) > maxMovedTo:
		m.add("moved_to", fmt.Sprintf("longer than %d octets", maxMovedTo))
	case !utf8.ValidString(r.MovedTo):
		m.add("moved_to", "is not UTF-8")
	case strings.ContainsFunc(r.MovedTo, func(c rune) bool { return c < ' ' || c == 0x7f }):
		m.add("moved_to", "has control characters")
	}
}

// Normalize checks every field; role is checked by who knows the roles.
func (t *NewToken) Normalize() error {
	var m mistakes
	t.Name = strings.TrimSpace(t.Name)
	switch {
	case t.Name == "":
		m.add("name", "must not be empty")
	case len(t.Name) > maxName:
		m.add("name", fmt.Sprintf("longer than %d octets", maxName))
	case !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, func(c rune) bool { return c < ' ' || c == 0x7f }):
		m.add("name", "has control characters")
	}
	return m.err()
}

// Home is the folder of a new mailbox below the store's root: "domain/local",
// with every octet that a file name could trip over as %XX. A name never
// begins with a dot, so that nobody's folder is another's "..".
func Home(a addr.Address) string {
	var b strings.Builder
	b.WriteString(a.Domain)
	b.WriteByte('/')
	for i := range len(a.Local) {
		c := a.Local[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("_-+=", c) >= 0, c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
