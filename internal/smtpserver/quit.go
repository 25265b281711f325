package smtpserver

import "toastmaster/internal/dsn"

// quit is QUIT.
func quit(c *Conn, arg string) *dsn.Error {
	if arg != "" {
		return c.syntax()
	}
	c.Reply(221, dsn.OK, "Bye")
	c.End("")
	return nil
}
