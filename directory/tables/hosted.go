package tables

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// hosted is a table over the directory: what a Postfix wants to know of it. It has its
// own walk over an address (directory.Directory), so it wants whole keys.
type hosted struct {
	name
	directory *directory.Directory
	ask       view
}

// views are the tables of the directory. Limits bound what an alias may stand for.
func views(l directory.Limits) map[string]view {
	return map[string]view{
		"domains": hostedDomain, "mailboxes": hostedMailbox, "aliases": hostedAlias, "relocated": hostedRelocated,
		"recipients": func(ctx context.Context, d *directory.Directory, key string) (string, error) {
			return hostedRecipient(ctx, d, l, key)
		},
		"senders": func(ctx context.Context, d *directory.Directory, key string) (string, error) {
			return hostedSender(ctx, d, l, key)
		},
	}
}

// view is one of them.
type view func(ctx context.Context, d *directory.Directory, key string) (string, error)

func openDirectory(_ context.Context, s *Set, n name, argument string) (Table, error) {
	ask := views(s.o.Aliases)[argument]
	if ask == nil {
		return nil, fmt.Errorf("there is no table %q of the directory: domains, mailboxes, aliases, recipients, senders or relocated", brief(argument))
	}
	return hosted{n, s.o.Directory, ask}, nil
}

func (hosted) wantsWhole() bool { return true }

func (t hosted) Lookup(ctx context.Context, key string) (string, error) {
	if t.directory == nil {
		return "", t.unavailable(key, errors.New("the directory is not open"))
	}
	text, err := t.ask(ctx, t.directory, key)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound || err == nil && text == "":
		return "", t.missing(key)
	case outcome == directory.Misconfigured:
		return "", t.misconfigured(key, err)
	case err != nil:
		return "", t.unavailable(key, err)
	}
	return text, nil
}

// hostedDomain is virtual_mailbox_domains: also of a domain that is disabled, because
// mail for it is nobody else's; none of its addresses is found.
func hostedDomain(ctx context.Context, d *directory.Directory, key string) (string, error) {
	name, err := addr.ParseDomain(key)
	if err != nil {
		return "", directory.Missing("", key)
	}
	domain, err := d.Domain(ctx, name)
	return domain.Real(), err
}

// hostedMailbox is virtual_mailbox_maps: the folder of the mailbox that takes mail for
// an address after aliases.
func hostedMailbox(ctx context.Context, d *directory.Directory, key string) (string, error) {
	a, err := address(key)
	if err != nil {
		return "", err
	}
	to := d.Destination(ctx, a)
	switch to.Verdict {
	case directory.Deliver:
		return to.Found.Mailbox.Home + "/", nil
	case directory.Undecided:
		return "", failed(to.Err)
	}
	return "", directory.Missing("", key)
}

// hostedRecipient is relay_recipient_maps, of who takes mail for this host: a mailbox, or an
// alias of which somebody takes it.
func hostedRecipient(ctx context.Context, d *directory.Directory, l directory.Limits, key string) (string, error) {
	a, err := address(key)
	if err != nil {
		return "", err
	}
	to := d.Decide(ctx, a, directory.Question{Aliases: l})
	switch {
	case to.Verdict == directory.Deliver || to.Verdict == directory.Forward:
		return "OK", nil
	case to.Err != nil && to.Err.Temporary():
		return "", failed(to.Err)
	}
	return "", directory.Missing("", key)
}

// hostedSender is smtpd_sender_login_maps: the mailboxes that an address is of, as users log
// in with them. An alias beside a mailbox is that mailbox's address, whoever else gets its mail; one
// alone is of all that it leads to. A disabled mailbox owns its address still, which is nobody else's.
func hostedSender(ctx context.Context, d *directory.Directory, l directory.Limits, key string) (string, error) {
	a, err := address(key)
	if err != nil {
		return "", err
	}
	o := owners{directory: d, limits: l, seen: map[addr.Address]bool{}}
	err = o.add(ctx, a, 0)
	return strings.Join(o.of, ", "), err
}

// owners is a walk over aliases to those who own an address: policy.Env.Owns, the other way round.
type owners struct {
	directory *directory.Directory
	limits    directory.Limits
	seen      map[addr.Address]bool
	of        []string
}

func (o *owners) add(ctx context.Context, a addr.Address, depth int) error {
	if o.seen[a.Fold()] || depth > o.limits.Depth || len(o.seen) > o.limits.Addresses {
		return nil
	}
	o.seen[a.Fold()] = true
	found, err := o.directory.Recipient(ctx, a)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return nil
	case err != nil:
		return err
	case found.Mailbox.Home != "":
		if owner := found.Mailbox.Address.String(); !slices.Contains(o.of, owner) {
			o.of = append(o.of, owner)
		}
		return nil
	}
	for _, target := range found.Targets {
		if err := o.add(ctx, target, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// failed is why the directory could not decide.
func failed(err error) error {
	var answer *directory.Error
	if errors.As(err, &answer) {
		return answer
	}
	return err
}

// hostedAlias is virtual_alias_maps: one step of an alias, a catch-all included where
// there is no mailbox.
func hostedAlias(ctx context.Context, d *directory.Directory, key string) (string, error) {
	found, err := enabled(ctx, d, key)
	var targets []string
	if found.Kind == directory.KindAlias {
		for _, t := range found.Targets {
			targets = append(targets, t.String())
		}
	}
	return strings.Join(targets, ", "), err
}

// hostedRelocated is relocated_maps.
func hostedRelocated(ctx context.Context, d *directory.Directory, key string) (string, error) {
	found, err := enabled(ctx, d, key)
	if found.Kind != directory.KindRelocated {
		return "", err
	}
	return found.MovedTo, err
}

// enabled is what an address is, in a domain that is not disabled.
func enabled(ctx context.Context, d *directory.Directory, key string) (directory.Recipient, error) {
	a, err := address(key)
	if err != nil {
		return directory.Recipient{}, err
	}
	domain, err := d.Domain(ctx, a.Domain)
	if err != nil || !domain.Enabled {
		return directory.Recipient{}, err
	}
	return d.Recipient(ctx, a)
}

// address reads a key; one that is no whole address is found nowhere.
func address(key string) (addr.Address, error) {
	a, err := addr.Parse(key)
	if err != nil || a.Domain == "" || a.Local == "" {
		return a, directory.Missing("", key)
	}
	return a, nil
}
