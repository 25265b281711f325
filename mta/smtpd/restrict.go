package smtpd

import (
	"context"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/policy"
)

// CheckRestrictions says whether the lists of the configuration can be asked. The
// error is a *policy.Mistake.
func CheckRestrictions(p configs.SMTPD) error {
	_, err := compile(p, &policy.Env{})
	return err
}

// compile makes the lists of each kind of port.
func compile(p configs.SMTPD, e *policy.Env) (lists [kinds]*policy.Lists, err error) {
	if lists[mx], err = policy.CompileLists("smtpd.", p.Restrictions, e); err != nil {
		return lists, err
	}
	users, err := policy.CompileLists("smtpd.mua_", p.MUARestrictions, e)
	lists[submission], lists[submissions] = users, users
	return lists, err
}

// environment is what restrictions ask.
func (d *Daemon) environment() *policy.Env {
	e := &policy.Env{
		Hostname: d.o.Hostname, Directory: d.o.Directory, Aliases: d.o.Aliases, Ours: d.o.Ours, Refused: d.o.Refused, Fits: d.o.Fits,
		OverQuotaTemporary: d.o.OverQuotaTemporary, CheckSenderLogin: d.o.Params.CheckSenderLogin, Log: d.o.Log,
	}
	if a, err := addr.Parse(d.o.Params.Postmaster); err == nil {
		e.Postmaster = d.qualify(a)
	}
	return e
}

// refused asks a list and is its reply, nil when it lets pass. What was wanted at a
// command that is refused is forgotten.
func (s *session) refused(ctx context.Context, list policy.List) *dsn.Error {
	before := len(s.known.Noted)
	d := list.Decide(ctx, &s.known)
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

// Connect is asked before the greeting.
func (s *session) Connect(ctx context.Context) *dsn.Error {
	e := s.refused(ctx, s.lists.Client)
	s.known.Connected()
	return e
}

// Helo is asked at HELO and EHLO.
func (s *session) Helo(ctx context.Context, name string, _ bool) *dsn.Error {
	before := s.known
	s.known.SetHelo(name)
	if e := s.refused(ctx, s.lists.Helo); e != nil {
		// The session is what it was (RFC 5321 section 4.1.4), and so is a transaction in it.
		s.known = before
		return e
	}
	s.known.Greeted()
	return nil
}

// Prepare is asked at DATA.
func (s *session) Prepare(ctx context.Context) *dsn.Error { return s.refused(ctx, s.lists.Data) }
