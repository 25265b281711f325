package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// smtpConn speaks SMTP or LMTP line by line: what a client library would hide
// is seen here.
type smtpConn struct {
	net.Conn
	r *bufio.Reader
}

// smtpTimeout is how long the server may take for one answer.
const smtpTimeout = 60 * time.Second

func dialSMTP(address, hello string) (*smtpConn, error) {
	c, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		return nil, err
	}
	s := &smtpConn{c, bufio.NewReader(c)}
	_, err = s.expect("220")
	if err == nil {
		_, err = s.command("250", "%s client.example.net", hello)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// reply reads one reply: its lines, joined.
func (s *smtpConn) reply() (string, error) {
	var all []string
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimRight(line, "\r\n")
		all = append(all, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(all, "\n"), nil
		}
	}
}

// smtpError is an answer that was not the expected one.
type smtpError struct{ reply string }

func (e *smtpError) Error() string { return e.reply }

func (s *smtpConn) expect(code string) (string, error) {
	r, err := s.reply()
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(r, code) {
		return r, &smtpError{r}
	}
	return r, nil
}

func (s *smtpConn) command(code, format string, args ...any) (string, error) {
	if err := s.SetDeadline(time.Now().Add(smtpTimeout)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(s, format+"\r\n", args...); err != nil {
		return "", err
	}
	return s.expect(code)
}

// send sends one message; text has CR LF line ends and needs no dot-stuffing.
// It returns the last reply.
func (s *smtpConn) send(from string, to []string, text string) (string, error) {
	if r, err := s.command("250", "MAIL FROM:<%s>", from); err != nil {
		return r, err
	}
	for _, rcpt := range to {
		if r, err := s.command("250", "RCPT TO:<%s>", rcpt); err != nil {
			return r, err
		}
	}
	if r, err := s.command("354", "DATA"); err != nil {
		return r, err
	}
	if err := s.SetDeadline(time.Now().Add(smtpTimeout)); err != nil {
		return "", err
	}
	if _, err := s.Write([]byte(text + ".\r\n")); err != nil {
		return "", err
	}
	return s.expect("250")
}

// sendOne delivers one small message and wants it accepted.
func (b *box) sendOne(t *testing.T, from, to, subject string) {
	t.Helper()
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send(from, []string{to}, fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%s.%d@example.net>\r\n\r\nText of %s.\r\n",
		from, to, subject, strings.ReplaceAll(subject, " ", "."), time.Now().UnixNano(), subject))
	must(t, err)
}
