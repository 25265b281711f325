package smtpserver

import (
	"strings"

	"toastmaster/internal/dsn"
)

// help is HELP: the commands, or how one of them is written.
func help(c *Conn, arg string) *dsn.Error {
	t := c.srv.commands()
	if i := t.find([]byte(arg)); i != unknown && t.rows[i].Help != "" {
		c.Reply(214, dsn.OK, "Syntax: "+t.rows[i].Help)
		return nil
	}
	var names []string
	for i := range t.rows {
		if v := &t.rows[i]; v.Name != "" && v.Help != "" {
			names = append(names, v.Name)
		}
	}
	c.Reply(214, dsn.OK, strings.Join(names, " "))
	return nil
}
