package smtpd

import (
	"cmp"
	"context"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/policy"
)

// CheckRestrictions says whether the lists of the configuration can be asked. The
// error is a *policy.Mistake.
// It opens the tables that they name with open, and asks none.
func CheckRestrictions(c *configs.Config, open policy.Opener) error {
	if err := checkSection("smtpd", c, c.SMTPD, open); err != nil {
		return err
	}
	for _, l := range c.SMTPDListeners {
		if err := checkSection(l.Section(), c, l.Params, open); err != nil {
			return err
		}
	}
	return nil
}

func checkSection(section string, c *configs.Config, p configs.SMTPD, open policy.Opener) error {
	e := &policy.Env{Section: section, LogPermits: p.LogPermits, Classes: c.ClassLists(), Codes: p.Codes, RBLReply: p.DefaultRBLReply, Tables: open, Service: p.PolicyService}
	if err := e.CheckClasses(); err != nil {
		return err
	}
	if _, err := compile(section, p, e); err != nil {
		return err
	}
	if _, err := openWords(section, p.SMTPDWords, open); err != nil {
		return err
	}
	_, err := openLocalClients(section, p.LocalHeaderClients, open)
	return err
}

// compile makes the lists of each kind of port, whose parameters are in a section.
func compile(section string, p configs.SMTPD, e *policy.Env) (lists [kinds]*policy.Lists, err error) {
	if lists[mx], err = policy.CompileLists(section+".", p.Restrictions, e); err != nil {
		return lists, err
	}
	users, err := policy.CompileLists(section+".mua_", p.MUARestrictions, e)
	lists[submission], lists[submissions] = users, users
	return lists, err
}

// environment is what restrictions ask.
func (d *Daemon) environment() *policy.Env {
	p := d.o.Params
	e := &policy.Env{
		Section: d.o.Section, LogService: d.o.LogService, Hostname: d.o.Hostname, Directory: d.o.Directory, Aliases: d.o.Aliases, Ours: d.o.Ours, Refused: d.o.Refused, Class: d.o.Class, Mapped: d.o.Mapped, Fits: d.o.Fits,
		LogPermits: p.LogPermits, Harmless: p.Filtered, NoUnknownRecipients: p.Overrides(configs.NoUnknownRecipientChecks), OverQuotaTemporary: d.o.OverQuotaTemporary, CheckSenderLogin: p.CheckSenderLogin,
		Classes: d.o.Classes, Services: d.o.Services, Service: p.PolicyService, Path: d.o.Path, Tables: d.o.Tables, Keys: d.o.Keys, NullSender: p.NullAccessKey, DNS: d.o.DNS, ResolveTimeout: p.ResolveTimeout, Codes: p.Codes,
		UnknownAddressTempfail: cmp.Or(p.UnknownAddressTempfail, p.RejectTempfail),
		UnknownHeloTempfail:    cmp.Or(p.UnknownHeloTempfail, p.RejectTempfail),
		UnverifiedSender:       p.UnverifiedSender, UnverifiedRecipient: p.UnverifiedRecipient, Verify: d.o.Verify,
		RBLReply: p.DefaultRBLReply, RBLReplies: d.o.RBLReplies, OwnAddress: d.o.OwnAddress,
		RelayClientCerts: d.o.RelayClientCerts, OwnMX: d.o.OwnMX, MXBackupNetworks: configs.Prefixes(p.MXBackupNetworks), Log: d.o.Log, Clock: d.o.Clock,
	}
	e.UnverifiedSender.Tempfail = cmp.Or(p.UnverifiedSender.Tempfail, p.RejectTempfail)
	e.UnverifiedRecipient.Tempfail = cmp.Or(p.UnverifiedRecipient.Tempfail, p.RejectTempfail)
	if a, err := addr.Parse(p.Postmaster); err == nil {
		e.Postmaster = d.qualify(a)
	}
	return e
}

// Decide is what RCPT would know of an address, which may have no domain, by the default
// lists of restrictions: see policy.Env.Decide.
func (d *Daemon) Decide(ctx context.Context, a addr.Address) directory.Decision {
	return d.env.Decide(ctx, a, d.qualify(a))
}

// refused asks lists at a command and is their reply, nil when they let pass; for final see policy.Ask.
// What was wanted at a command that is refused is forgotten.
func (s *session) refused(ctx context.Context, at policy.Stage, final bool, lists ...policy.List) *dsn.Error {
	before := len(s.known.Noted)
	s.known.Stage = at
	d := policy.Ask(ctx, &s.known, final, lists...)
	e := d.Err
	for _, noted := range s.known.Noted[before:] {
		if wrong := s.logAction(noted); wrong != nil {
			e = wrong
			break
		}
	}
	if e != nil {
		s.known.Noted = s.known.Noted[:before]
	}
	return e
}

// early asks a list at its own step, unless delay_reject leaves it to RCPT.
func (s *session) early(ctx context.Context, at policy.Stage, list policy.List) *dsn.Error {
	if s.lists.Delayed {
		return nil
	}
	return s.refused(ctx, at, false, list)
}

// Connect is asked before the greeting.
func (s *session) Connect(ctx context.Context) *dsn.Error {
	if e := s.vouched(ctx); e != nil {
		return e
	}
	e := s.early(ctx, policy.Connect, s.lists.Client)
	s.known.Connected()
	if e == nil {
		e = s.milterConnect(ctx)
	}
	return e
}

// Helo is asked at HELO and EHLO.
func (s *session) Helo(ctx context.Context, name string, esmtp bool) *dsn.Error {
	before := s.known
	s.known.SetHelo(name)
	s.known.Conn.ESMTP = esmtp
	if e := s.early(ctx, policy.Helo, s.lists.Helo); e != nil {
		// The session is what it was (RFC 5321 section 4.1.4), and so is a transaction in it.
		s.known = before
		return e
	}
	s.known.Greeted()
	return s.milterHelo(ctx, name)
}

// Prepare is asked at DATA. Restrictions know the recipient from here on when there is
// one, as in Postfix.
func (s *session) Prepare(ctx context.Context) *dsn.Error {
	if only := s.only; len(s.env.Recipients) == 1 {
		s.known.SetRecipient(only.given, only.qualified)
	} else {
		s.known.SetRecipient(addr.Address{}, addr.Address{})
	}
	if e := s.refused(ctx, policy.Data, true, s.lists.Data); e != nil {
		return e
	}
	return s.milterData(ctx)
}
