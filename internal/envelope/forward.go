package envelope

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Commands are those of XFORWARD (Postfix XFORWARD_README) that tell f to a host that takes these attributes, in upper case; none for one that
// takes none. There are two, because one line might be too long.
func (f Forwarded) Commands(attributes []string) []string {
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
			if slices.Contains(attributes, a[0]) {
				command += " " + a[0] + "=" + EncodeXtext(cmp.Or(a[1], "[UNAVAILABLE]"))
			}
		}
		if command != "" {
			commands = append(commands, "XFORWARD"+command)
		}
	}
	return commands
}

// Forward is where a message comes from that is called id here, "" while it has no name: what the host before has said, or where it
// came in.
func (o *Origin) Forward(id QueueID) Forwarded {
	if o.Forwarded != nil {
		f := *o.Forwarded
		f.Ident = cmp.Or(f.Ident, string(id))
		return f
	}
	f := Forwarded{Ident: string(id), Source: "LOCAL"}
	ip, err := netip.ParseAddr(o.ClientAddr)
	if err != nil {
		return f
	}
	f.Addr, f.Proto, f.Helo = ip.String(), o.Protocol, o.Helo
	if o.ClientPort != 0 {
		f.Port = strconv.Itoa(int(o.ClientPort))
	}
	if o.ClientName != "unknown" {
		f.Name = o.ClientName
	}
	if !ip.IsLoopback() {
		f.Source = "REMOTE"
	}
	return f
}
