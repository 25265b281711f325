package smtpserver

import "github.com/emersion/go-smtp"

// statuses collects the answers of an LMTP session (smtp.StatusCollector).
type statuses struct {
	rcpts []string
	errs  []error
	set   []bool
}

// SetStatus answers for the first recipient of that name that has no answer.
func (s *statuses) SetStatus(rcptTo string, err error) {
	for i, name := range s.rcpts {
		if name == rcptTo && !s.set[i] {
			s.errs[i], s.set[i] = err, true
			return
		}
	}
}

// handLMTP gets an answer for each recipient (RFC 2033 section 4.2).
func (c *Conn) handLMTP(b *body) []error {
	n := len(c.tx.rcpts)
	s := &statuses{rcpts: c.tx.rcpts, errs: make([]error, n), set: make([]bool, n)}
	var rest error
	if session, ok := c.session.(smtp.LMTPSession); ok {
		rest = session.LMTPData(b, s)
	} else {
		rest = c.session.Data(b)
	}
	for i := range s.errs {
		if !s.set[i] {
			s.errs[i] = rest
		}
	}
	return s.errs
}
