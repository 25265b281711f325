package cleanup

import (
	"context"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/addrfield"
	"toastmaster/internal/envelope"
	"toastmaster/mta/addrmap"
)

// Addresses say what becomes of the addresses of a message. The zero Addresses leave them.
type Addresses struct {
	// steps are canonical maps, in the order in which they are asked.
	steps         []step
	local, remote *addrfield.Form // nil leaves headers as they are
	masquerade    masquerade
	tokens        int
	headerSize    int64
	virtual       addrmap.Maps // virtual_alias_maps
}

// step is a parameter with the classes that it is for.
type step struct {
	maps    addrmap.Maps
	classes []string
}

// OpenAddresses opens the tables of canonical_maps, sender_canonical_maps, recipient_canonical_maps and
// virtual_alias_maps, or gives those that are open. The error names the parameter.
func OpenAddresses(ctx context.Context, c *configs.Config, set *tables.Set) (Addresses, error) {
	p := &c.Cleanup.Rewriting
	local := addrfield.Form{SwapBangpath: p.SwapBangpath, PercentHack: p.PercentHack}
	remote := local
	if p.AppendAtMyOrigin {
		local.Origin, remote.Origin = c.Main.Hostname, p.RemoteHeaderDomain
	}
	if p.AppendDotMyDomain {
		_, local.Domain, _ = strings.Cut(c.Main.Hostname, ".")
		remote.Domain = p.RemoteHeaderDomain
	}
	all := Addresses{
		local: &local, tokens: p.TokenLimit, headerSize: c.Cleanup.HeaderSizeLimit,
		masquerade: masquerade{p.MasqueradeDomains, p.MasqueradeExceptions, p.MasqueradeClasses},
	}
	if p.RemoteHeaderDomain != "" {
		all.remote = &remote
	}
	for _, row := range []struct {
		param          string
		names, classes []string
	}{
		{"sender_canonical_maps", p.SenderCanonicalMaps, only(p.SenderCanonicalClasses, configs.EnvelopeSender, configs.HeaderSender)},
		{"recipient_canonical_maps", p.RecipientCanonicalMaps, only(p.RecipientCanonicalClasses, configs.EnvelopeRecipient, configs.HeaderRecipient)},
		{"canonical_maps", p.CanonicalMaps, p.CanonicalClasses},
	} {
		maps, item, err := set.OpenAll(ctx, row.names)
		if err != nil {
			return Addresses{}, c.MistakeIn("cleanup."+row.param, item, err)
		}
		if len(maps) > 0 {
			all.steps = append(all.steps, step{addrmap.Maps{
				Param: "cleanup." + row.param, Tables: maps, Form: local, Propagate: slices.Contains(p.PropagateExtensions, "canonical"),
				Keys: keys.Options{Delimiters: c.Main.RecipientDelimiter, Own: c.OwnDomain},
			}, row.classes})
		}
	}
	maps, item, err := set.OpenAll(ctx, p.VirtualAliasMaps)
	if err != nil {
		return Addresses{}, c.MistakeIn("cleanup.virtual_alias_maps", item, err)
	}
	all.virtual = addrmap.Maps{
		Param: "cleanup.virtual_alias_maps", Tables: maps, Form: local, Propagate: slices.Contains(p.PropagateExtensions, "virtual"), Most: c.Cleanup.AliasExpandLimit,
		Keys: keys.Options{Delimiters: c.Main.RecipientDelimiter, Own: c.OwnDomain},
	}
	return all, nil
}

// Limits are those of an expansion, which asks virtual_alias_maps, too.
func (a *Addresses) Limits(p configs.Cleanup) directory.Limits {
	l := directory.LimitsOf(p)
	if len(a.virtual.Tables) > 0 {
		l.Virtual = a.virtual.Targets
	}
	return l
}

// only are those of classes that are among some.
func only(classes []string, some ...string) []string {
	return slices.DeleteFunc(slices.Clone(classes), func(c string) bool { return !slices.Contains(some, c) })
}

// form is how the addresses in a header are completed, nil when it stays as it is.
func (a *Addresses) form(of envelope.Rewrite) *addrfield.Form {
	switch of {
	case envelope.RewriteLocal:
		return a.local
	case envelope.RewriteRemote:
		return a.remote
	}
	return nil
}

// mapped is what the maps and the masquerade make of an address of a class.
func (a *Addresses) mapped(ctx context.Context, class, text string) (string, error) {
	for i := range a.steps {
		s := &a.steps[i]
		if !slices.Contains(s.classes, class) {
			continue
		}
		var err error
		if text, err = s.maps.Map(ctx, text); err != nil {
			return "", err
		}
	}
	return a.masquerade.of(class, text), nil
}

// address is the same for one of an envelope.
func (a *Addresses) address(ctx context.Context, class string, of addr.Address) (addr.Address, error) {
	if of.IsNull() {
		return of, nil
	}
	was := of.String()
	text, err := a.mapped(ctx, class, was)
	if err != nil || text == was {
		return of, err
	}
	return addr.Parse(text)
}

// Maps says whether the address of a recipient, or of a sender, is mapped to another one, or stands for others, so that it is
// not unknown.
func (c *Cleanup) Maps(ctx context.Context, a addr.Address, sender bool) (bool, error) {
	for i := range c.o.Addresses.steps {
		s := &c.o.Addresses.steps[i]
		if !slices.Contains(s.classes, configs.EnvelopeRecipient) && !(sender && slices.Contains(s.classes, configs.EnvelopeSender)) {
			continue
		}
		if has, err := s.maps.Has(ctx, a); has || err != nil {
			return has, err
		}
	}
	return c.o.Addresses.virtual.Has(ctx, a)
}

// masquerade hides the hosts of a domain.
type masquerade struct{ domains, exceptions, classes []string }

// of is what an address of a class becomes.
func (m *masquerade) of(class, text string) string {
	local, domain, ok := addrfield.SplitDomain(text)
	if !ok || len(m.domains) == 0 || !slices.Contains(m.classes, class) ||
		slices.ContainsFunc(m.exceptions, func(name string) bool { return strings.EqualFold(name, local) }) {
		return text
	}
	for _, d := range m.domains {
		name := strings.TrimLeft(d, "!")
		from := len(domain) - len(name)
		switch {
		case from < 0 || !strings.EqualFold(domain[from:], name) || from > 0 && domain[from-1] != '.':
		case from == 0 || (len(d)-len(name))%2 == 1:
			return text
		default:
			return local + "@" + name
		}
	}
	return text
}
