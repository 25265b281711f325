package local

import (
	"cmp"
	"fmt"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/macro"
	"toastmaster/internal/process"
)

// safe are the characters that a value keeps in a path, an argument or a variable: Postfix's
// forward_expansion_filter and command_expansion_filter. Others are "_".
const safe = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// templates are the parameters that have macros.
type templates struct {
	forward   []macro.Text
	luser     macro.Text
	directory macro.Text
}

func parseTemplates(p configs.Local) (t templates, err error) {
	for _, path := range p.ForwardPath {
		text, err := macro.Parse(path, configs.LocalMacros())
		if err != nil {
			return t, err
		}
		t.forward = append(t.forward, text)
	}
	for _, one := range []struct {
		to   *macro.Text
		text string
	}{{&t.luser, p.LuserRelay}, {&t.directory, p.ExecutionDirectory}} {
		if *one.to, err = macro.Parse(one.text, configs.LocalMacros()); err != nil {
			return t, err
		}
	}
	return t, nil
}

func filter(s string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(safe, c) {
			return c
		}
		return '_'
	}, s)
}

// values are those of the macros; u is nil for who is no user.
func (d *delivery) values(p place, u *process.User) func(string) string {
	user, extension := d.parts(p, u)
	return func(name string) string {
		switch name {
		case "user":
			return filter(user)
		case "home":
			if u != nil {
				return u.Home
			}
		case "shell":
			if u != nil {
				return u.Shell
			}
		case "recipient":
			return filter(p.at.Local + "@" + p.at.Domain)
		case "extension":
			// A path has no way up in it.
			return filter(strings.ReplaceAll(extension, "/", "_"))
		case "domain":
			return filter(p.at.Domain)
		case "local":
			return filter(p.at.Local)
		case "recipient_delimiter":
			if i := len(user); extension != "" && i < len(p.at.Local) {
				return p.at.Local[i : i+1]
			}
		}
		return ""
	}
}

func (d *delivery) parts(p place, u *process.User) (user, extension string) {
	local := addr.Address{Local: strings.ToLower(p.at.Local)}
	base, extension := local.SplitExtension(d.a.o.Delimiters)
	if u != nil && u.Name == local.Local {
		return local.Local, ""
	}
	return base.Local, extension
}

// environment is what a command sees of the message, as of Postfix's local(8).
func (d *delivery) environment(s *step, u *process.User) []string {
	user, extension := d.parts(s.place, u)
	e := d.r.Envelope
	rest := []string{
		"USER=" + filter(user), "LOGNAME=" + filter(user), "SENDER=" + filter(whole(s.sender)), "RECIPIENT=" + filter(whole(s.at)),
		"ORIGINAL_RECIPIENT=" + filter(whole(original(d.to.Original, d.to.Address))), "DOMAIN=" + filter(s.at.Domain), "LOCAL=" + filter(s.at.Local),
	}
	if u != nil {
		rest = append(rest, "HOME="+u.Home, "SHELL="+cmp.Or(u.Shell, "/bin/sh"))
	}
	for _, v := range []struct{ name, value string }{
		{"EXTENSION", extension}, {"CLIENT_ADDRESS", e.Origin.ClientAddr}, {"CLIENT_HELO", e.Origin.Helo}, {"CLIENT_HOSTNAME", e.Origin.ClientName},
		{"CLIENT_PROTOCOL", e.Origin.Protocol}, {"SASL_USERNAME", e.Origin.Login},
	} {
		if v.value != "" {
			rest = append(rest, fmt.Sprintf("%s=%s", v.name, filter(v.value)))
		}
	}
	if e.Auth != nil && !e.Auth.IsNull() {
		rest = append(rest, "SASL_SENDER="+filter(whole(*e.Auth)))
	}
	return process.Environment(d.a.o.Export, rest...)
}

func whole(a addr.Address) string {
	if a.IsNull() {
		return "MAILER-DAEMON"
	}
	return a.Local + "@" + a.Domain
}

func original(given, to addr.Address) addr.Address {
	if given.IsNull() {
		return to
	}
	return given
}
