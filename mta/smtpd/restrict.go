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
		Hostname: d.o.Hostname, Directory: d.o.Directory, Aliases: d.o.Aliases, Ours: d.o.Ours, Fits: d.o.Fits,
		OverQuotaTemporary: d.o.OverQuotaTemporary, CheckSenderLogin: d.o.Params.CheckSenderLogin, Log: d.o.Log,
	}
	if a, err := addr.Parse(d.o.Params.Postmaster); err == nil {
		e.Postmaster = d.qualify(a)
	}
	return e
}

// refused asks a list and is its reply, nil when it lets pass.
func (s *session) refused(ctx context.Context, list policy.List) *dsn.Error {
	before := len(s.known.Noted)
	d := list.Decide(ctx, &s.known)
	for _, noted := range s.known.Noted[before:] {
		if e := s.note(noted); e != nil {
			return e
		}
	}
	return d.Err
}

// Connect is asked before the greeting.
func (s *session) Connect(ctx context.Context) *dsn.Error {
	e := s.refused(ctx, s.lists.Client)
	s.known.Connected()
	return e
}

// Helo is asked at HELO and EHLO.
func (s *session) Helo(ctx context.Context, name string, _ bool) *dsn.Error {
	s.known.SetHelo(name)
	e := s.refused(ctx, s.lists.Helo)
	s.known.Greeted()
	return e
}

// Prepare is asked at DATA.
func (s *session) Prepare(ctx context.Context) *dsn.Error { return s.refused(ctx, s.lists.Data) }
