package imapd

import (
	"slices"
	"strings"
)

// has says whether ENABLE has named a capability.
func (s *session) has(name string) bool { return slices.Contains(s.enabled, name) }

// runCapability is an extension that a row brings.
type capability struct {
	name string
	// early: it is told before the log-in, too. Dovecot as well tells only what
	// matters then.
	early bool
	// enable: a session has it when ENABLE has named it.
	enable bool
}

// has are capabilities that are told after the log-in.
func has(names ...string) []capability {
	var caps []capability
	for _, n := range names {
		caps = append(caps, capability{name: n})
	}
	return caps
}

// early is one that is told from the start.
func early(name string) []capability { return []capability{{name: name, early: true}} }

// capabilities are those of all rows, in their order: what the engine can, the
// verbs, and the options, items and search keys that are extensions of their own.
func capabilities(verbs []verb) []capability {
	caps := append(early("IMAP4rev1"), early("LITERAL+")...)
	for _, v := range verbs {
		caps = append(caps, v.caps...)
	}
	for _, o := range slices.Concat(selectionOptions, listReturns) {
		caps = append(caps, o.caps...)
	}
	for _, i := range statusItems {
		caps = append(caps, i.caps...)
	}
	for _, o := range returnOptions {
		caps = append(caps, o.caps...)
	}
	for _, k := range searchKeys() {
		caps = append(caps, k.caps...)
	}
	return caps
}

// join lists the names of those that want holds for.
func join(caps []capability, want func(capability) bool) string {
	var names []string
	for _, c := range caps {
		if want(c) {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, " ")
}

// setVerbs makes what is derived from the rows. It is called once.
func (srv *Server) setVerbs(rows []verb) {
	srv.verbs = map[string]*verb{}
	for _, v := range rows {
		srv.verbs[v.name] = &v
	}
	srv.caps = capabilities(rows)
	srv.capsBefore = join(srv.caps, func(c capability) bool { return c.early })
	srv.capsAfter = join(srv.caps, func(capability) bool { return true })
}

// capabilities are those of the present state.
func (s *session) capabilities() string {
	if s.mail != nil {
		return s.srv.capsAfter
	}
	var b strings.Builder
	b.WriteString(s.srv.capsBefore)
	if s.login.CanStartTLS() {
		b.WriteString(" STARTTLS")
	}
	mechanisms := s.login.Mechanisms()
	for _, m := range mechanisms {
		b.WriteString(" AUTH=" + m)
	}
	if len(mechanisms) == 0 {
		b.WriteString(" LOGINDISABLED")
	}
	return b.String()
}

// runCapability is CAPABILITY (RFC 3501 section 6.1.1).
func runCapability(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	s.c.writeString("* CAPABILITY " + s.capabilities() + "\r\n")
	return reply{text: "Capability completed"}, nil
}
