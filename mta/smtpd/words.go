package smtpd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/internal/macro"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/policy"
)

// words is what is said and heard besides: footers, commands in the place of others, and those that are forbidden.
type words struct {
	footers, commands, forbidden []tables.Table
	// names are forbidden commands in lower case.
	names []string
}

// openWords opens the tables of a section, or gives those that are open. The error is a *policy.Mistake.
func openWords(section string, p configs.SMTPDWords, open policy.Opener) (w words, err error) {
	one := func(param string, to *[]tables.Table, names []string) {
		for i, name := range names {
			if err != nil {
				return
			}
			if open == nil {
				err = &policy.Mistake{Param: section + param, Item: i, Err: fmt.Errorf("there are no tables")}
				return
			}
			t, failed := open.Open(context.Background(), name)
			if failed != nil {
				err = &policy.Mistake{Param: section + param, Item: i, Err: failed}
				return
			}
			*to = append(*to, t)
		}
	}
	one(".reject_footer_maps", &w.footers, p.Footer.Maps)
	one(".command_filter", &w.commands, p.CommandFilter)
	var named []string
	for _, item := range p.ForbiddenCommands {
		if strings.Contains(item, ":") {
			named = append(named, item)
		} else {
			w.names = append(w.names, strings.ToLower(item))
		}
	}
	one(".forbidden_commands", &w.forbidden, named)
	return w, err
}

// find is the first text that tables have for a key; found is false when none has.
func find(ctx context.Context, list []tables.Table, key string) (text string, found bool, err error) {
	for _, t := range list {
		text, err := t.Lookup(ctx, key)
		switch directory.OutcomeOf(err) {
		case directory.Found:
			return text, true, nil
		case directory.NotFound:
		default:
			return "", false, err
		}
	}
	return "", false, nil
}

// Footer is what stands behind refusals (smtpserver.Server.Footer), for postscreen, too; nil where there is none.
func (d *Daemon) Footer() func(c *smtpserver.Conn, e *dsn.Error) string {
	p := &d.o.Params
	if p.Footer.Text == "" && len(d.words.footers) == 0 {
		return nil
	}
	return func(c *smtpserver.Conn, e *dsn.Error) string {
		template := p.Footer.Text
		reply := strconv.Itoa(e.Reply()) + " " + e.Status.String() + " " + e.Text
		text, found, err := find(c.Context(), d.words.footers, reply)
		switch {
		case err != nil:
			d.o.Log.Warn(d.o.Section+".reject_footer_maps", "service", d.o.LogService, "session", c.ID(), "cause", err)
		case found:
			template = text
		}
		return smtpserver.WithFooter(e.Text, template, func(s string) string {
			t, err := macro.Parse(s, configs.FooterNames())
			if err != nil { // of a table: it has been read again
				d.o.Log.Warn(d.o.Section+".reject_footer_maps", "service", d.o.LogService, "session", c.ID(), "cause", err)
				return ""
			}
			return t.Expand(func(name string) string { return p.Filtered(d.ofClient(c, name)) })
		})
	}
}

// ofClient is a macro of a footer.
func (d *Daemon) ofClient(c *smtpserver.Conn, name string) string {
	switch name {
	case "client":
		s, ok := c.Session().(*session)
		if !ok {
			return policy.Unknown + "[" + service.ClientText(c.ClientAddr()) + "]"
		}
		return d.env.Peer(c.Context(), &s.known).Name + "[" + service.ClientText(c.ClientAddr()) + "]"
	case "client_address":
		return service.ClientText(c.ClientAddr())
	case "client_port":
		return strconv.Itoa(int(c.ClientPort()))
	case "localtime":
		return d.o.Clock.Now().Format(time.StampMilli[:len("Jan _2 15:04:05")])
	case "server_name":
		return d.o.Hostname
	}
	return ""
}

// replace is smtpserver.Server.Replace; nil where there are no tables.
func (d *Daemon) replace() func(c *smtpserver.Conn, line string) (string, *dsn.Error) {
	if len(d.words.commands) == 0 {
		return nil
	}
	return func(c *smtpserver.Conn, line string) (string, *dsn.Error) {
		other, found, err := find(c.Context(), d.words.commands, strings.TrimLeft(line, " \t"))
		switch {
		case err != nil:
			return "", dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", err)
		case !found:
			return line, nil
		}
		was, _, _ := strings.Cut(line, " ") // what follows may be a password
		now, _, _ := strings.Cut(other, " ")
		d.o.Log.Info("command replaced", "service", d.o.LogService, "session", c.ID(), "was", was, "is", now)
		return other, nil
	}
}

// forbidden is smtpserver.Server.Forbidden. A table that cannot answer forbids nothing: the word is no command in any case.
func (d *Daemon) forbidden(c *smtpserver.Conn, word string) bool {
	for _, name := range d.words.names {
		if strings.EqualFold(name, word) {
			return true
		}
	}
	_, found, _ := find(c.Context(), d.words.forbidden, word)
	return found
}
