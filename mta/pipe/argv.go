package pipe

import (
	"strconv"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/macro"
	"toastmaster/mta/agent"
)

// aboutRecipients are the macros of which an argument has one form for each recipient.
func aboutRecipients() []string {
	return []string{"recipient", "original_recipient", "user", "extension", "mailbox", "domain"}
}

// template is an argv with its macros.
type template []macro.Text

func parseArgv(argv []string) (template, error) {
	t := make(template, len(argv))
	for i, text := range argv {
		var err error
		if t[i], err = macro.Parse(text, configs.PipeMacros()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// argv is the command line for a request.
func (a *Agent) argv(r *agent.Request) ([]string, *dsn.Error) {
	out := make([]string, 0, len(a.args)+len(r.Recipients))
	for _, text := range a.args {
		if !text.Uses(aboutRecipients()...) {
			arg, err := a.argument(text, r, -1)
			if err != nil {
				return nil, err
			}
			out = append(out, arg)
			continue
		}
		for _, i := range r.Recipients {
			arg, err := a.argument(text, r, i)
			if err != nil {
				return nil, err
			}
			out = append(out, arg)
		}
	}
	return out, nil
}

// argument is one of them. It never becomes an option by what a stranger has chosen.
func (a *Agent) argument(text macro.Text, r *agent.Request, i int) (string, *dsn.Error) {
	arg := text.Expand(func(name string) string { return a.value(name, r, i) })
	if strings.IndexByte(arg, 0) >= 0 {
		return "", dsn.New(dsn.BadDestSyntax, "bad address syntax")
	}
	if !text.Begins() || !strings.HasPrefix(arg, "-") {
		return arg, nil
	}
	switch {
	case i >= 0:
		return "", dsn.New(dsn.BadDestSyntax, "bad address syntax")
	case text.Uses("sender") && strings.HasPrefix(a.sender(r.Envelope.Sender), "-"):
		return "", dsn.New(dsn.BadSenderSyntax, "bad address syntax")
	}
	return "_" + arg[1:], nil
}

// value is that of a macro, for a recipient where it is about one.
func (a *Agent) value(name string, r *agent.Request, i int) string {
	e := r.Envelope
	switch name {
	case "sender":
		return a.sender(e.Sender)
	case "nexthop":
		return a.host(r.Nexthop)
	case "queue_id":
		return string(e.ID)
	case "size":
		return strconv.FormatInt(r.Content.Size(), 10)
	case "client_address":
		return e.Origin.ClientAddr
	case "client_helo":
		return e.Origin.Helo
	case "client_hostname":
		return e.Origin.ClientName
	case "client_protocol":
		return e.Origin.Protocol
	case "sasl_username":
		return e.Origin.Login
	case "sasl_sender":
		if e.Auth != nil {
			return e.Auth.String()
		}
	}
	if i < 0 {
		return ""
	}
	to := e.Recipients[i].Address
	base, extension := to.SplitExtension(a.o.Delimiters)
	switch name {
	case "recipient":
		return a.recipient(to)
	case "original_recipient":
		if o := e.Recipients[i].Original; !o.IsNull() {
			to = o
		}
		return a.recipient(to)
	case "user":
		return a.local(base.Local)
	case "extension":
		return a.local(extension)
	case "mailbox":
		return a.local(to.Local)
	case "domain":
		return a.host(to.Domain)
	}
	return ""
}

// sender is the sender, or what stands for nobody.
func (a *Agent) sender(s addr.Address) string {
	if !s.IsNull() {
		return a.whole(s)
	}
	null := addr.Address{Local: a.o.Params.NullSender}
	if null.IsNull() {
		return ""
	}
	return a.whole(null)
}

func (a *Agent) recipient(to addr.Address) string {
	return a.whole(addr.Address{Local: a.local(to.Local), Domain: a.host(to.Domain)})
}

// whole is an address with quotes where the flag q wants them, else as it is meant.
func (a *Agent) whole(s addr.Address) string {
	switch {
	case a.has('q'):
		return s.String()
	case s.Domain == "":
		return s.Local
	}
	return s.Local + "@" + s.Domain
}

func (a *Agent) local(s string) string {
	if a.has('u') {
		return strings.ToLower(s)
	}
	return s
}

func (a *Agent) host(s string) string {
	if a.has('h') {
		return strings.ToLower(s)
	}
	return s
}
