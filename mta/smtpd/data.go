package smtpd

import (
	"errors"
	"io"

	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpserver"
)

// Data receives the message and submits it. The 250 stands for a message that
// is on disk.
func (s *session) Data(r io.Reader) error {
	buf := s.d.o.Spool.New()
	if err := smtpserver.WriteLF(buf, r); err != nil {
		return errors.Join(err, buf.Close())
	}
	giveBack := func() {}
	if s.authenticated() {
		err := s.checkAuthor(s.c.Context(), buf)
		if err == nil {
			giveBack, err = s.takeLimits()
		}
		if err != nil {
			return errors.Join(err, buf.Close())
		}
	}
	id, err := s.d.o.Submitter.Submit(s.c.Context(), &envelope.Submission{
		Envelope: s.env,
		Content:  buf,
		Complete: s.authenticated() || s.trusted, CheckRoom: true, Outside: s.authenticated() || !s.trusted,
	})
	if err != nil {
		giveBack()
		return err
	}
	return smtpserver.Accepted("queued as " + string(id))
}
