package smtpserver

import "toastmaster/internal/dsn"

// help is HELP. The text is fixed: see the rule about the table.
func help(c *Conn, _ string) *dsn.Error {
	greeting := "HELO EHLO"
	if c.srv.LMTP {
		greeting = "LHLO"
	}
	c.write(214, dsn.OK, greeting+" MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH")
	return nil
}
