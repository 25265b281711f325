package smtpserver

import "toastmaster/internal/dsn"

// vrfy is VRFY. It says 252 to everything: whether an address exists is told at
// RCPT, where it is counted and logged (RFC 5321 section 3.5.3).
func vrfy(c *Conn, arg string) *dsn.Error {
	if arg == "" {
		return c.syntax()
	}
	c.Reply(252, dsn.AddressValid, "Cannot verify, but will accept a message and try to deliver it")
	return nil
}
