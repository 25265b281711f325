package smtpserver

import "toastmaster/internal/dsn"

// rset is RSET: the transaction is forgotten, greeting and login stay.
func rset(c *Conn, arg string) *dsn.Error {
	if arg != "" {
		return c.syntax()
	}
	c.reset()
	c.ok(dsn.OK, "Ok")
	return nil
}
