package smtpd

import (
	"context"
	"errors"
	"io"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/policy"
)

// Data receives the message and submits it. The 250 stands for a message that
// is on disk.
func (s *session) Data(ctx context.Context, r io.Reader) (smtpserver.Accepted, *dsn.Error) {
	buf := s.d.o.Spool.New()
	if err := smtpserver.WriteLF(buf, r); err != nil {
		return smtpserver.Accepted{}, dsn.From(errors.Join(err, buf.Close()))
	}
	s.known.Size, s.known.Conn.Received = buf.Size(), smtpserver.WireSize(r)
	if e := s.refused(ctx, policy.EndOfData, true, s.lists.EndOfData); e != nil {
		return smtpserver.Accepted{}, dsn.From(errors.Join(e, buf.Close()))
	}
	giveBack := func() {}
	if s.authenticated() {
		var err error
		if giveBack, err = s.takeLimits(); err != nil {
			return smtpserver.Accepted{}, dsn.From(errors.Join(err, buf.Close()))
		}
	}
	if s.proxied() {
		got, e := s.proxyData(ctx, buf)
		if e != nil {
			giveBack()
		}
		return got, e
	}
	rewrite, err := s.rewrite(ctx)
	if err != nil {
		giveBack()
		return smtpserver.Accepted{}, dsn.From(errors.Join(err, buf.Close()))
	}
	if f, ok := envelope.ParseRoute(s.d.o.Params.ContentFilter); ok {
		s.env.Filter = &f // what restrictions want takes its place
	}
	s.act(s.env)
	s.milters.act(s.env)
	id, err := s.d.o.Submitter.Submit(ctx, &envelope.Submission{
		Author:   s.author(),
		Envelope: s.env,
		Content:  buf,
		Complete: s.authenticated() || s.known.Trusted, CheckRoom: true, Incoming: true, Rewrite: rewrite, Outside: s.authenticated() || !s.known.Trusted,
		Override: envelope.Override{NoMappings: s.d.o.Params.Overrides(configs.NoAddressMappings), NoChecks: s.d.o.Params.Overrides(configs.NoHeaderBodyChecks)},
		Filter:   s.milters.filter(),
	})
	if err != nil {
		giveBack()
		return smtpserver.Accepted{}, dsn.From(err)
	}
	return smtpserver.Accepted{Text: "queued as " + string(id)}, nil
}

// author is the user as whom the header may be written, null for everybody else
// and when nobody looks (smtpd.check_header_from).
func (s *session) author() addr.Address {
	if !s.d.o.Params.CheckHeaderFrom {
		return addr.Address{}
	}
	return s.known.User.Address
}
