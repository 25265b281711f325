package smtpserver

import "toastmaster/internal/dsn"

// noop is NOOP, with any text behind it.
func noop(c *Conn, _ string) *dsn.Error {
	c.ok(dsn.OK, "Ok")
	return nil
}
