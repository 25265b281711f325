package smtpd

import (
	"context"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/policy"
)

// Rcpt is RCPT TO: the limits, then who may send to where, then who is here.
func (s *session) Rcpt(ctx context.Context, r smtpserver.Rcpt) *dsn.Error {
	if e := s.mayRcpt(); e != nil {
		return e
	}
	if e := s.underLimits(len(s.env.Recipients) + 1); e != nil {
		return e
	}
	original := s.d.qualify(r.To)
	s.known.SetRecipient(r.To, original)
	before := len(s.known.Noted)
	if e := s.refusedRecipient(ctx); e != nil {
		s.known.Noted = s.known.Noted[:before] // it was about a recipient that there is not
		s.refusedRcpt(e)
		s.milterRcpt(ctx, r, e)
		return e
	}
	if e := s.milterRcpt(ctx, r, nil); e != nil {
		s.known.Noted = s.known.Noted[:before]
		s.refusedRcpt(e)
		return e
	}
	if e := s.proxyRcpt(ctx, r.Raw); e != nil {
		s.known.Noted = s.known.Noted[:before]
		s.refusedRcpt(e)
		return e
	}
	final, n := s.d.env.Final(ctx, &s.known)
	s.extra += max(n-1, 0)
	s.env.Recipients = append(s.env.Recipients, envelope.Recipient{
		Address: final, Original: original, Notify: r.Notify, ORcpt: r.ORcpt,
	})
	s.env.UTF8 = s.env.UTF8 || !r.To.IsASCII()
	s.known.Recipients, s.only = len(s.env.Recipients), written{r.To, original}
	return nil
}

// refusedRecipient asks both lists, with delay_reject those of before, too, and whether what the recipient stands for has
// room beside the recipients before it. What has not can come in the next
// transaction (RFC 5321 section 4.5.3.1.10); cleanup expands it again, the envelope
// keeps what the client said.
func (s *session) refusedRecipient(ctx context.Context) *dsn.Error {
	if s.lists.Delayed {
		for _, list := range []policy.List{s.lists.Client, s.lists.Helo, s.lists.Sender} {
			if e := s.refused(ctx, policy.Rcpt, false, list); e != nil {
				return e
			}
		}
	}
	if e := s.refused(ctx, policy.Rcpt, true, s.lists.Relay, s.lists.Recipient); e != nil {
		return e
	}
	_, n := s.d.env.Final(ctx, &s.known)
	if n > 0 && len(s.env.Recipients) > 0 && len(s.env.Recipients)+s.extra+n > s.d.o.Aliases.Addresses {
		return dsn.New(dsn.TooManyRecipients, "Too many recipients").WithCode(452)
	}
	return nil
}
