package smtpserver

import "toastmaster/internal/dsn"

// quit is QUIT.
func quit(c *Conn, arg string) *dsn.Error {
	if arg != "" {
		return dsn.New(dsn.InvalidArguments, "Syntax: QUIT")
	}
	c.write(221, dsn.OK, "Bye")
	c.end("")
	return nil
}
