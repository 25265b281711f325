package smtpd

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/policy"
)

// MayXClient says that the client may speak in the place of another one (smtpd.authorized_xclient_hosts). Once it
// has told of one with another address, that one is asked about.
func (s *session) MayXClient() bool { return service.InNetworks(s.d.xclient, s.c.ClientAddr()) }

// MayXForward says that who is connected may say where its messages come from (smtpd.authorized_xforward_hosts), also
// after XCLIENT, as with Postfix.
func (s *session) MayXForward() bool { return service.InNetworks(s.d.xforward, s.c.Sender()) }

// impersonate takes over what was told of the client, but for the log-in. Names that were not told of an
// address that was are looked up, as for any other client: those of who told it are not that client's.
func (s *session) impersonate(told smtpserver.Told) {
	if told.Helo != "" {
		s.known.SetHelo(told.Helo)
		s.known.Conn.ESMTP = told.Proto == "ESMTP"
		s.known.Greeted()
	}
	if !told.Name.Said {
		return
	}
	p := policy.Peer{}
	p.Name, p.NameOutcome = named(told.Name)
	if p.Reverse, p.ReverseOutcome = p.Name, p.NameOutcome; told.Reverse.Said {
		p.Reverse, p.ReverseOutcome = named(told.Reverse)
	}
	s.known.SetPeer(p)
}

// named is a name that was told as policy knows names.
func named(n smtpserver.ToldName) (string, dns.Outcome) {
	switch {
	case n.Text != "":
		return n.Text, dns.Found
	case n.Later:
		return policy.Unknown, dns.NoAnswer
	}
	return policy.Unknown, dns.NoName
}

// vouched logs in whom XCLIENT has told as logged in. Its host has looked at the password; that the mailbox is there and
// enabled is looked at here, and as long as the session lasts.
func (s *session) vouched(ctx context.Context) *dsn.Error {
	login := s.c.Told().Login
	if login == "" {
		return nil
	}
	account, err := s.d.o.Directory.Account(ctx, login)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound, err == nil && !account.Mailbox.Enabled:
		return dsn.New(dsn.AuthFailed, "Authentication failed")
	case err != nil:
		return dsn.From(err)
	}
	return s.login.Vouched(ctx, "XCLIENT", login, account.Mailbox)
}
