package smtpserver

import (
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Forwarder is an add-on of sessions: who may use XCLIENT and XFORWARD. Both are offered to those alone.
type Forwarder interface {
	MayXClient() bool
	MayXForward() bool
}

// ForwardVerbs are the rows of XCLIENT and XFORWARD, for a server whose sessions are Forwarders.
func ForwardVerbs() []Verb {
	return []Verb{
		{Name: "XCLIENT", States: Always, Run: xclient, Help: "XCLIENT attribute=value...", Last: true, Clear: true,
			Keyword: func(c *Conn) string {
				return offered(c.forwarder != nil && c.forwarder.MayXClient(), "XCLIENT", clientAttributes())
			}},
		{Name: "XFORWARD", States: Always, Run: xforward, Help: "XFORWARD attribute=value...",
			Keyword: func(c *Conn) string {
				return offered(c.forwarder != nil && c.forwarder.MayXForward(), "XFORWARD", forwardAttributes())
			}},
	}
}

func offered(may bool, name string, attributes []string) string {
	if !may {
		return ""
	}
	return name + " " + strings.Join(attributes, " ")
}

func clientAttributes() []string {
	return []string{"NAME", "ADDR", "PROTO", "HELO", "REVERSE_NAME", "PORT", "LOGIN", "DESTADDR", "DESTPORT"}
}

func forwardAttributes() []string {
	return []string{"NAME", "ADDR", "PROTO", "HELO", "SOURCE", "PORT", "IDENT"}
}

func errNotTrusted() *dsn.Error {
	return dsn.New(dsn.Make(5, 7, 0), "Error: insufficient authorization").WithCode(550)
}

func errTransaction() *dsn.Error {
	return dsn.New(dsn.InvalidCommand, "Error: MAIL transaction in progress")
}

// xclient is XCLIENT (Postfix XCLIENT_README): the session begins again, as that of the client that was told.
func xclient(c *Conn, arg string) *dsn.Error {
	switch {
	case c.tx.mail:
		return errTransaction()
	case c.forwarder == nil || !c.forwarder.MayXClient():
		return errNotTrusted()
	}
	list, e := c.attributes(arg, clientAttributes())
	if e != nil {
		return e
	}
	told := c.told
	for _, a := range list {
		if e := told.tell(a); e != nil {
			return e
		}
	}
	c.srv.Log.Info("xclient", "service", c.srv.Service, "session", c.id, "client", c.clientText(), "attributes", arg)
	c.again = nil
	c.restart(told)
	return nil
}

// restart ends the session, and begins one of the client that was told.
func (c *Conn) restart(told Told) {
	if c.onEnd != nil {
		c.onEnd()
	}
	c.reset()
	c.told = told
	if told.Addr.IsValid() {
		c.client = told.Addr
	}
	c.helo, c.esmtp = told.Helo, told.Proto == "ESMTP"
	c.authed, c.trusted, c.forgiven, c.sentEarly, c.watchEarly = false, false, false, false, false
	c.onCommand, c.onEnd = nil, nil
	c.SetBare(c.plainBare)
	c.begin()
	if e := c.connect(); e != nil {
		c.rejected("connect", "", e)
		c.replyError(e)
		c.End("refused at connect")
		return
	}
	if told.Login != "" {
		c.authed = true
		c.w.Unlimit()
	}
	c.greet()
}

// Told is what XCLIENT has told.
func (c *Conn) Told() Told { return c.told }

// xforward is XFORWARD (Postfix XFORWARD_README): where the next message comes from, for the log and for who
// gets it next. It changes nothing else.
func xforward(c *Conn, arg string) *dsn.Error {
	switch {
	case c.tx.mail:
		return errTransaction()
	case c.forwarder == nil || !c.forwarder.MayXForward():
		return errNotTrusted()
	}
	list, e := c.attributes(arg, forwardAttributes())
	if e != nil {
		return e
	}
	f := envelope.Forwarded{}
	if c.forwarded != nil {
		f = *c.forwarded
	}
	for _, a := range list {
		if e := forward(&f, a); e != nil {
			return e
		}
	}
	c.forwarded = &f
	c.ok(dsn.OK, "Ok")
	return nil
}

// maxProtocol bounds the name of a protocol, in octets (XFORWARD_README).
const maxProtocol = 64

// forward puts an attribute into f.
func forward(f *envelope.Forwarded, a attribute) *dsn.Error {
	ok := true
	value := a.value
	missing := value == unavailable
	if missing {
		value = ""
	}
	switch a.name {
	case "NAME":
		f.Name, ok = value, missing || isHostname(value)
	case "ADDR":
		if f.Addr = value; !missing {
			ip, valid := toldAddr(value)
			f.Addr, ok = ip.String(), valid
		}
	case "PORT":
		_, ok = toldPort(a.value)
		f.Port = value
	case "PROTO":
		f.Proto, ok = harmless(value), len(value) <= maxProtocol
	case "HELO":
		f.Helo = harmless(value)
	case "IDENT":
		f.Ident = harmless(value)
	case "SOURCE":
		f.Source = strings.ToUpper(value)
		ok = missing || f.Source == "LOCAL" || f.Source == "REMOTE"
	}
	if !ok {
		return a.wrong()
	}
	return nil
}

// harmless takes out what has a meaning in headers and in the log.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`<>()\";@,`, r) {
			return '?'
		}
		return r
	}, s)
}
