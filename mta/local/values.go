package local

import (
	"cmp"
	"fmt"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/macro"
	"toastmaster/internal/process"
)

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

// filter is a value with "_" for each character that may not be in it.
func filter(s, allowed string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(allowed, c) {
			return c
		}
		return '_'
	}, s)
}

// values are those of the macros, of the characters that are allowed; u is nil for who is no user.
func (d *delivery) values(p place, u *hostuser.User, allowed string) func(string) string {
	user, extension := d.parts(p, u)
	filter := func(s string) string { return filter(s, allowed) }
	return func(name string) string {
		switch name {
		case "user":
			return filter(user)
		case "home":
			if u != nil {
				return filter(u.Home)
			}
		case "shell":
			if u != nil {
				return filter(u.Shell)
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
				return filter(p.at.Local[i : i+1])
			}
		}
		return ""
	}
}

func (d *delivery) parts(p place, u *hostuser.User) (user, extension string) {
	local := strings.ToLower(p.at.Local)
	if u != nil && u.Name == local {
		return local, ""
	}
	return d.a.split(local)
}

// split takes the extension from a local part. The names of a list's owner, and of who takes its requests, are
// whole where "-" would split them.
func (a *Agent) split(local string) (base, extension string) {
	to, extension := addr.Address{Local: local}.SplitExtension(a.o.Delimiters)
	if i := len(to.Local); a.o.Params.OwnerRequestSpecial && i < len(local) && local[i] == '-' && (strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request")) {
		return local, ""
	}
	return to.Local, extension
}

// environment is what a command sees of the message, as of Postfix's local(8).
func (d *delivery) environment(s *step, u *hostuser.User) []string {
	user, extension := d.parts(s.place, u)
	filter := func(s string) string { return filter(s, d.a.o.Params.CommandFilter) }
	e := d.r.Envelope
	rest := []string{
		"USER=" + filter(user), "LOGNAME=" + filter(user), "SENDER=" + filter(whole(s.sender)), "RECIPIENT=" + filter(whole(s.at)),
		"DOMAIN=" + filter(s.at.Domain), "LOCAL=" + filter(s.at.Local),
	}
	if !s.anew {
		rest = append(rest, "ORIGINAL_RECIPIENT="+filter(whole(original(d.to.Original, d.to.Address))))
	}
	if u != nil {
		rest = append(rest, "HOME="+filter(u.Home), "SHELL="+filter(cmp.Or(u.Shell, "/bin/sh")))
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
