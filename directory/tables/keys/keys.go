package keys

import (
	"context"
	"net/netip"
	"strings"

	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
)

// A Key is what a table is asked for.
type Key struct {
	Text string
	// Part says that it is a part of what was asked about: tables that want whole keys
	// are not asked.
	Part bool
	// Unmatched is the extension of the address, with its delimiter, that the key does
	// not have: what propagate_unmatched_extensions is about.
	Unmatched string
}

// Walk is the keys of one question, in the order in which they count.
type Walk []Key

// Options are how keys are made.
type Options struct {
	// Delimiters are the characters that begin an extension
	// (main.recipient_delimiter), "" for none.
	Delimiters string
	// ParentMatches lets a domain stand for its subdomains
	// (parent_domain_matches_subdomains); without it ".domain" does.
	ParentMatches bool
	// Own says that a domain is one of this machine, whose users are looked up without
	// it; nil is for none.
	Own func(domain string) bool
}

// Lookup asks for one key after the other, and returns the text of the first that is
// found, and that key. Every error is as of a tables.Table.
func (w Walk) Lookup(ctx context.Context, t tables.Table) (string, Key, error) {
	asked := ""
	for _, k := range w {
		var text string
		var err error
		if k.Part {
			text, err = tables.LookupPart(ctx, t, k.Text)
		} else {
			text, err = t.Lookup(ctx, k.Text)
		}
		if err == nil {
			return text, k, nil
		}
		if directory.OutcomeOf(err) != directory.NotFound {
			return "", k, err
		}
		if asked == "" {
			asked = k.Text
		}
	}
	return "", Key{}, directory.Missing(tables.Name(t), asked)
}

// NullSender is the key of the null sender (smtpd_null_access_lookup_key).
const NullSender = "<>"

// whole are the keys of an address with its domain: with and without its extension.
func whole(a addr.Address, o Options) (w Walk, base addr.Address, unmatched string) {
	base, _ = a.SplitExtension(o.Delimiters)
	w = Walk{{Text: a.String()}}
	if base != a {
		unmatched = a.Local[len(base.Local):]
		w = append(w, Key{base.String(), true, unmatched})
	}
	return w, base, unmatched
}

// Address is the keys of an address in a table that maps addresses: canonical, virtual,
// generic, relocated, bcc.
func Address(a addr.Address, o Options) Walk {
	if a.IsNull() {
		return Walk{{Text: NullSender}}
	}
	w, base, unmatched := whole(a, o)
	if a.Domain == "" {
		return w
	}
	if o.Own != nil && o.Own(a.Domain) {
		local := addr.Address{Local: a.Local}
		w = append(w, Key{local.String(), true, ""})
		if unmatched != "" {
			w = append(w, Key{addr.Address{Local: base.Local}.String(), true, unmatched})
		}
	}
	return append(w, Key{"@" + a.Domain, true, unmatched})
}

// Access is the keys of an address in an access table.
func Access(a addr.Address, o Options) Walk {
	if a.IsNull() {
		return Walk{{Text: NullSender}}
	}
	w, base, unmatched := whole(a, o)
	for _, name := range parents(a.Domain, o) {
		w = append(w, Key{name, true, unmatched})
	}
	w = append(w, Key{addr.Address{Local: a.Local}.String() + "@", true, ""})
	if unmatched != "" {
		w = append(w, Key{addr.Address{Local: base.Local}.String() + "@", true, unmatched})
	}
	return w
}

// Transport is the keys of a recipient in a transport table.
func Transport(a addr.Address, o Options) Walk {
	w, _, _ := whole(a, o)
	for _, name := range parents(a.Domain, o) {
		w = append(w, Key{Text: name, Part: true})
	}
	return append(w, Key{Text: "*", Part: true})
}

// Domain is the keys of a domain or the name of a host.
func Domain(name string, o Options) Walk {
	var w Walk
	for i, n := range parents(name, o) {
		w = append(w, Key{Text: n, Part: i > 0})
	}
	return w
}

// Client is the keys of a client: its verified name, "unknown" for one that has none and
// "" for one that is not asked about, and its address.
func Client(name string, ip netip.Addr, o Options) Walk {
	w := Domain(name, o)
	if !ip.IsValid() {
		return w
	}
	text, delimiter := ip.Unmap().WithZone("").String(), "."
	if strings.Contains(text, ":") {
		delimiter = ":"
	}
	w = append(w, Key{Text: text})
	for i := strings.LastIndex(text, delimiter); i > 0; i = strings.LastIndex(text, delimiter) {
		text = text[:i]
		w = append(w, Key{Text: text, Part: true})
	}
	return w
}

// parents are a name and the domains that it is in. An address is in none, nor is one in
// brackets.
func parents(name string, o Options) []string {
	if name == "" {
		return nil
	}
	all := []string{name}
	if _, err := netip.ParseAddr(name); err == nil || name[0] == '[' {
		return all
	}
	for {
		i := strings.IndexByte(name[1:], '.')
		if i < 0 || i+2 == len(name) {
			return all
		}
		name = name[i+1:]
		if o.ParentMatches {
			all = append(all, name[1:])
		} else {
			all = append(all, name)
		}
	}
}
