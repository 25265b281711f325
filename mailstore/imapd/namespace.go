package imapd

import "toastmaster/internal/mime"

// runNamespace is NAMESPACE (RFC 2342): one personal namespace without a prefix.
func runNamespace(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	out := append(s.c.buf(), `* NAMESPACE (("" `...)
	out = mime.AppendString(out, []byte(string(s.user.Separator())))
	s.c.put(append(out, ")) NIL NIL\r\n"...))
	return reply{text: "Namespace completed"}, nil
}
