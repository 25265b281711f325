package imapd

import "slices"

// runEnable is ENABLE (RFC 5161). Names that are unknown, or need no ENABLE, are
// ignored, as the RFC demands; told are those that the session has from now on.
func runEnable(s *session, a *args) (reply, error) {
	a.space()
	names := []string{a.atom()}
	for a.more() {
		names = append(names, a.atom())
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	out := append(s.c.buf(), "* ENABLED"...)
	for _, c := range s.srv.caps {
		if c.enable && slices.Contains(names, c.name) && !s.has(c.name) {
			s.enabled = append(s.enabled, c.name)
			out = append(append(out, ' '), c.name...)
		}
	}
	s.c.put(append(out, "\r\n"...))
	return reply{text: "Enabled"}, nil
}
