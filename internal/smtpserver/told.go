package smtpserver

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/printable"
	"toastmaster/internal/service"
)

// Told is what a client that is trusted with it has told about the client in whose place it speaks (XCLIENT).
// The zero value is nothing.
type Told struct {
	// Name and Reverse are the names of its address.
	Name, Reverse ToldName
	// Addr is its address, the zero Addr when that was not said, service.UnknownClient when it is not known.
	Addr netip.Addr
	// Port is its port, Server what it connected to; zero for what was not said.
	Port   uint16
	Server netip.AddrPort
	// Helo is what it called itself, Proto "SMTP" or "ESMTP".
	Helo, Proto string
	// Login is who has logged in.
	Login string
}

// ToldName is a host name that was told.
type ToldName struct {
	// Said says that there was a word about it. Text is empty for a name that there is not, Later says
	// that nobody could say whether there is.
	Said, Later bool
	Text        string
}

// attribute is one "NAME=value" of XCLIENT or XFORWARD.
type attribute struct{ name, value string }

// unavailable is the value of what is not known, later of what nobody could say.
const unavailable, later = "[UNAVAILABLE]", "[TEMPUNAVAIL]"

// maxAttribute bounds a value, in octets; it is no parameter (XFORWARD_README).
const maxAttribute = 255

// attributes reads the argument of XCLIENT or XFORWARD. Old clients do not encode: what is no xtext is taken
// as it stands.
func (c *Conn) attributes(arg string, known []string) ([]attribute, *dsn.Error) {
	var out []attribute
	for word := range strings.FieldsSeq(arg) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, badAttribute("Error: attribute=value expected")
		}
		if name = strings.ToUpper(name); !slices.Contains(known, name) {
			return nil, badAttribute("Bad " + c.verb.Name + " attribute name: " + short(name))
		}
		if text, ok := envelope.DecodeXtext(value); ok {
			value = text
		}
		if value == "" || len(value) > maxAttribute || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, attribute{name, value}.wrong()
		}
		for _, word := range []string{unavailable, later} {
			if strings.EqualFold(value, word) {
				value = word
			}
		}
		out = append(out, attribute{name, value})
	}
	if out == nil {
		return nil, c.syntax()
	}
	return out, nil
}

func badAttribute(text string) *dsn.Error { return dsn.New(dsn.InvalidArguments, text) }

// wrong is the answer to a value.
func (a attribute) wrong() *dsn.Error {
	return badAttribute("Bad " + a.name + " syntax: " + printable.ASCII(short(a.value)))
}

// tell puts an attribute into t.
func (t *Told) tell(a attribute) *dsn.Error {
	ok := true
	missing := a.value == unavailable
	switch a.name {
	case "NAME":
		t.Name, ok = toldName(a.value)
	case "REVERSE_NAME":
		t.Reverse, ok = toldName(a.value)
	case "ADDR":
		if t.Addr, ok = service.UnknownClient(), true; !missing {
			t.Addr, ok = toldAddr(a.value)
		}
	case "PORT":
		t.Port, ok = toldPort(a.value)
	case "DESTADDR":
		ip := netip.Addr{}
		if !missing {
			ip, ok = toldAddr(a.value)
		}
		t.Server = netip.AddrPortFrom(ip, t.Server.Port())
	case "DESTPORT":
		var port uint16
		port, ok = toldPort(a.value)
		t.Server = netip.AddrPortFrom(t.Server.Addr(), port)
	case "PROTO":
		t.Proto = strings.ToUpper(a.value)
		ok = t.Proto == "SMTP" || t.Proto == "ESMTP"
	case "HELO":
		if t.Helo = ""; !missing {
			t.Helo, ok = a.value, !strings.ContainsFunc(a.value, notPrintable)
		}
	case "LOGIN":
		if t.Login = ""; !missing {
			t.Login = a.value
		}
	}
	if !ok {
		return a.wrong()
	}
	return nil
}

// toldName reads a host name.
func toldName(s string) (ToldName, bool) {
	if s == unavailable || s == later {
		return ToldName{Said: true, Later: s == later}, true
	}
	return ToldName{Said: true, Text: s}, isHostname(s)
}

// isHostname says that a name is one, or a number that stands for one.
func isHostname(s string) bool {
	if _, err := addr.ParseDomain(s); err == nil {
		return !strings.HasPrefix(s, "[")
	}
	return false
}

// toldAddr reads an address: "192.0.2.1", "IPV6:2001:db8::1", and the same without the word.
func toldAddr(s string) (netip.Addr, bool) {
	if len(s) > 5 && strings.EqualFold(s[:5], "IPV6:") {
		ip, err := netip.ParseAddr(s[5:])
		return ip.Unmap(), err == nil && ip.Is6() && ip.Zone() == "" && !ip.IsUnspecified()
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap(), err == nil && ip.Zone() == "" && !ip.IsUnspecified()
}

// toldPort reads a port, 0 for one that is not known.
func toldPort(s string) (uint16, bool) {
	if s == unavailable {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}
