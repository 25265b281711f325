package imapd

import (
	"slices"

	"toastmaster/internal/mime"
	"toastmaster/mailstore"
)

// runNamespace is NAMESPACE (RFC 2342).
func runNamespace(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	all := s.mail.Namespaces()
	out := append(s.c.buf(), "* NAMESPACE"...)
	for _, kind := range []mailstore.NamespaceKind{mailstore.Personal, mailstore.OtherUsers, mailstore.Shared} {
		if !slices.ContainsFunc(all, func(n mailstore.NamespacePrefix) bool { return n.Kind == kind }) {
			out = append(out, " NIL"...)
			continue
		}
		out = append(out, " ("...)
		for _, n := range all {
			if n.Kind == kind {
				out = append(out, '(')
				out = append(appendMailbox(out, n.Prefix), ' ')
				out = mime.AppendString(out, []byte(string(s.mail.Separator())))
				out = append(out, ')')
			}
		}
		out = append(out, ')')
	}
	s.c.put(append(out, "\r\n"...))
	return reply{text: "Namespace completed"}, nil
}
