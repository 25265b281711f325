package tables

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// hosted is a table over the directory: what a Postfix wants to know of it. It has its
// own walk over an address (directory.Directory), so it wants whole keys.
type hosted struct {
	name
	directory *directory.Directory
	ask       func(ctx context.Context, d *directory.Directory, key string) (string, error)
}

// views are the tables of the directory.
func views() map[string]func(context.Context, *directory.Directory, string) (string, error) {
	return map[string]func(context.Context, *directory.Directory, string) (string, error){
		"domains": hostedDomain, "mailboxes": hostedMailbox, "aliases": hostedAlias, "relocated": hostedRelocated,
	}
}

func openDirectory(_ context.Context, s *Set, n name, argument string) (Table, error) {
	ask := views()[argument]
	if ask == nil {
		return nil, fmt.Errorf("there is no table %q of the directory: domains, mailboxes, aliases or relocated", brief(argument))
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
