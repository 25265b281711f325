package addrmap

import (
	"context"
	"fmt"
	"strings"

	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/addrfield"
	"toastmaster/internal/dsn"
)

// Maps are the tables of a parameter.
type Maps struct {
	// Param is its name, for errors.
	Param  string
	Tables tables.Maps
	Keys   keys.Options
	// Propagate says that an extension goes along.
	Propagate bool
	// Form completes what the tables say.
	Form addrfield.Form
	// Once says that what comes out is not looked up again.
	Once bool
	// Most is how many addresses the text of an entry may have for Targets; 0 is for tables of which the first one counts.
	Most int
}

// most is how many times one address is mapped, Postfix's MAX_RECURSION.
const most = 10

// tokens bounds the text of an entry, for each address.
const tokens = 100

// Has says whether the tables have an entry for an address.
func (m *Maps) Has(ctx context.Context, a addr.Address) (bool, error) {
	if len(m.Tables) == 0 || a.IsNull() || a.Domain == "" {
		return false, nil
	}
	_, _, err := keys.Address(a, m.Keys).Lookup(ctx, m.Tables)
	if directory.OutcomeOf(err) == directory.NotFound {
		return false, nil
	}
	return err == nil, err
}

// Map is what an address becomes, as a text with quotes where they are needed.
func (m *Maps) Map(ctx context.Context, address string) (string, error) {
	if len(m.Tables) == 0 {
		return address, nil
	}
	for range most {
		a, err := addr.Parse(address)
		if err != nil || a.Domain == "" {
			return address, nil
		}
		text, key, err := keys.Address(a, m.Keys).Lookup(ctx, m.Tables)
		switch {
		case directory.OutcomeOf(err) == directory.NotFound:
			return address, nil
		case err != nil:
			return "", dsn.Wrap(dsn.MailSystem, "Temporary failure while rewriting an address", fmt.Errorf("%s: %w", m.Param, err))
		}
		all, err := m.results(address, text, key)
		if err != nil {
			return "", dsn.Wrap(dsn.Misconfigured, "Server configuration error", fmt.Errorf("%s, key %s: %w", m.Param, key.Text, err))
		}
		next := all[0]
		if m.Once || strings.EqualFold(next, address) {
			return next, nil
		}
		address = next
	}
	return "", dsn.Wrap(dsn.Misconfigured, "Server configuration error", fmt.Errorf("%s: %s leads from one address to the next more than %d times", m.Param, address, most))
}

// Targets are all addresses that an address stands for, as virtual(5) has it: in one step, what comes out is not looked up
// again. found is false for one that the tables do not have.
func (m *Maps) Targets(ctx context.Context, a addr.Address) (targets []addr.Address, found bool, err error) {
	if len(m.Tables) == 0 || a.IsNull() || a.Domain == "" {
		return nil, false, nil
	}
	text, key, err := keys.Address(a, m.Keys).Lookup(ctx, m.Tables)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return nil, false, nil
	case err != nil:
		return nil, false, dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", fmt.Errorf("%s: %w", m.Param, err))
	}
	all, err := m.results(a.String(), text, key)
	for _, one := range all {
		if err == nil {
			var target addr.Address
			target, err = addr.Parse(one)
			targets = append(targets, target)
		}
	}
	if err != nil {
		return nil, false, dsn.Wrap(dsn.Misconfigured, "Server configuration error", fmt.Errorf("%s, key %s: %w", m.Param, key.Text, err))
	}
	return targets, true, nil
}

// MapAddress is Map for an address of an envelope.
func (m *Maps) MapAddress(ctx context.Context, a addr.Address) (addr.Address, error) {
	if len(m.Tables) == 0 || a.IsNull() {
		return a, nil
	}
	text, err := m.Map(ctx, a.String())
	if err != nil || text == a.String() {
		return a, err
	}
	return addr.Parse(text) // result has read it
}

// results reads what a table says of an address that it has by a key: one address at least.
func (m *Maps) results(address, text string, key keys.Key) ([]string, error) {
	extension := key.Unmatched
	if strings.HasPrefix(key.Text, "@") || !m.Propagate { // whoever is found by "@domain" has become another
		extension = ""
	}
	if strings.HasPrefix(text, "@") {
		local, _, _ := addrfield.SplitDomain(address)
		text = local + text
	}
	l, ok := addrfield.Parse(text, tokens*max(m.Most, 1))
	if !ok {
		return nil, fmt.Errorf("%.100q is too long", text)
	}
	all := l.Addresses()
	if len(all) == 0 {
		return nil, fmt.Errorf("%.100q has no address", text)
	}
	if m.Most == 0 {
		all = all[:1]
	}
	for i, one := range all {
		next := extended(m.Form.Standard(one), extension)
		if a, err := addr.Parse(next); err != nil || a.Domain == "" {
			return nil, fmt.Errorf("%.100q is no address", next)
		}
		all[i] = next
	}
	return all, nil
}

// extended is an address with an extension more.
func extended(address, extension string) string {
	if extension == "" {
		return address
	}
	local, domain, _ := addrfield.SplitDomain(address)
	if inner, is := strings.CutSuffix(local, `"`); is {
		return inner + extension + `"@` + domain
	}
	return local + extension + "@" + domain
}

// Kind says whose addresses a field of a header has, when they are rewritten.
type Kind uint8

// The kinds of field.
const (
	Other Kind = iota
	Sender
	Recipient
)

// KindOf is the kind of a field.
func KindOf(name string) Kind {
	switch strings.ToLower(name) {
	case "disposition-notification-to", "errors-to", "from", "mail-followup-to", "reply-to", "resent-from", "resent-sender", "return-path", "return-receipt-to", "sender":
		return Sender
	case "apparently-to", "bcc", "cc", "resent-bcc", "resent-cc", "resent-reply-to", "resent-to", "to":
		return Recipient
	}
	return Other
}
