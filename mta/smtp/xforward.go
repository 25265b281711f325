package smtp

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"toastmaster/internal/envelope"
)

// xforward are the commands that tell a host that wants to hear it where the message comes from (Postfix
// smtp_send_xforward_command). There are two, because one line might be too long.
func (t *transaction) xforward() []string {
	s := t.session
	if !s.agent.config.SendXForward || len(s.ext.xforward) == 0 {
		return nil
	}
	f := forwardOf(t.delivery.request.Envelope)
	addr := f.Addr
	if strings.Contains(addr, ":") {
		addr = "IPV6:" + addr
	}
	var commands []string
	for _, group := range [][][2]string{
		{{"NAME", f.Name}, {"ADDR", addr}, {"PORT", f.Port}},
		{{"PROTO", f.Proto}, {"HELO", f.Helo}, {"IDENT", f.Ident}, {"SOURCE", f.Source}},
	} {
		command := ""
		for _, a := range group {
			if slices.Contains(s.ext.xforward, a[0]) {
				command += " " + a[0] + "=" + envelope.EncodeXtext(cmp.Or(a[1], "[UNAVAILABLE]"))
			}
		}
		if command != "" {
			commands = append(commands, "XFORWARD"+command)
		}
	}
	return commands
}

// forwarded takes the reply. Whether the next host logs where a message was is no reason to keep it back.
func (t *transaction) forwarded(r *reply) {
	if !r.ok() {
		t.session.agent.log.Warn("XFORWARD refused", "relay", t.session.target.String(), "reply", r.text())
	}
}

// forwardOf is where a message comes from: what the host before has said, or where it came in here.
func forwardOf(env *envelope.Envelope) envelope.Forwarded {
	o := &env.Origin
	if o.Forwarded != nil {
		f := *o.Forwarded
		f.Ident = cmp.Or(f.Ident, string(env.ID))
		return f
	}
	f := envelope.Forwarded{Ident: string(env.ID), Source: "LOCAL"}
	ip, err := netip.ParseAddr(o.ClientAddr)
	if err != nil {
		return f
	}
	f.Addr, f.Proto, f.Helo = ip.String(), o.Protocol, o.Helo
	if o.ClientName != "unknown" {
		f.Name = o.ClientName
	}
	if !ip.IsLoopback() {
		f.Source = "REMOTE"
	}
	return f
}
