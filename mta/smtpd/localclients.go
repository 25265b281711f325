package smtpd

import (
	"context"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/policy"
)

// localClients is local_header_rewrite_clients: in whose headers addresses are completed and
// mapped. A unix socket is always one of this host.
type localClients []localClient

// localClient is an item.
type localClient func(ctx context.Context, s *session) (local bool, err error)

// openLocalClients reads the items of a section's parameter; open may be nil where no table is named.
func openLocalClients(section string, items []string, open policy.Opener) (localClients, error) {
	var all localClients
	for i, item := range items {
		name, argument, _ := strings.Cut(item, " ")
		switch name {
		case configs.PermitInetInterfaces:
			all = append(all, func(_ context.Context, s *session) (bool, error) {
				return s.d.o.OwnAddress != nil && s.d.o.OwnAddress(s.known.Client), nil
			})
		case configs.PermitMyNetworks:
			all = append(all, func(_ context.Context, s *session) (bool, error) { return s.known.Trusted, nil })
		case configs.PermitSASLAuthenticated:
			all = append(all, func(_ context.Context, s *session) (bool, error) { return s.authenticated(), nil })
		case configs.CheckAddressMap:
			table, err := open.Open(context.Background(), strings.TrimSpace(argument))
			if err != nil {
				return nil, &policy.Mistake{Param: section + ".local_header_rewrite_clients", Item: i, Err: err}
			}
			all = append(all, func(ctx context.Context, s *session) (bool, error) {
				_, _, err := keys.Client("", s.known.Client, s.d.o.Keys).Lookup(ctx, table)
				if directory.OutcomeOf(err) == directory.NotFound {
					return false, nil
				}
				return err == nil, err
			})
		}
	}
	return all, nil
}

// rewrite is as whose client's the header of the present message is rewritten.
func (s *session) rewrite(ctx context.Context) (envelope.Rewrite, error) {
	if !s.known.Client.IsValid() {
		return envelope.RewriteLocal, nil
	}
	for _, c := range s.d.local {
		switch local, err := c(ctx, s); {
		case err != nil:
			return envelope.RewriteNone, dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", err)
		case local:
			return envelope.RewriteLocal, nil
		}
	}
	return envelope.RewriteRemote, nil
}
