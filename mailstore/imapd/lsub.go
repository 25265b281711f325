package imapd

import (
	"strings"

	"toastmaster/internal/mime"
)

// lsub is LSUB (RFC 3501 section 6.3.9).
func (s *session) lsub(a *args) (reply, error) {
	if err := a.space(); err != nil {
		return reply{}, err
	}
	var q listRequest
	if err := a.listPatterns(&q); err != nil {
		return reply{}, err
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if len(q.patterns) == 1 && q.patterns[0] == "" {
		s.writeSeparator("LSUB")
		return reply{text: "Lsub completed"}, nil
	}
	folders, err := s.user.List(s.ctx)
	if err != nil {
		return reply{}, err
	}
	separator := byte(s.user.Separator())
	told := map[string]bool{}
	for _, f := range folders {
		if f.Subscribed && matchAny(q.patterns, f.Name, separator) {
			told[f.Name] = true
			s.writeLsub(f.Name, gone(&f))
		}
	}
	for _, f := range folders {
		if f.Subscribed {
			s.lsubParents(&q, f.Name, separator, told)
		}
	}
	return reply{text: "Lsub completed"}, nil
}

// lsubParents tells the parents of a subscribed mailbox that a "%" stopped
// at: "%" must show "foo" when only "foo/bar" is subscribed.
func (s *session) lsubParents(q *listRequest, name string, separator byte, told map[string]bool) {
	for i := range len(name) {
		if name[i] != separator || told[name[:i]] {
			continue
		}
		for _, p := range q.patterns {
			if strings.HasSuffix(p, "%") && match(p, name[:i], separator) && !match(p, name, separator) {
				told[name[:i]] = true
				s.writeLsub(name[:i], true)
				break
			}
		}
	}
}

func (s *session) writeLsub(name string, noselect bool) {
	out := append(s.c.buf(), "* LSUB ("...)
	if noselect {
		out = append(out, `\Noselect`...)
	}
	out = append(out, ") "...)
	out = mime.AppendString(out, []byte(string(s.user.Separator())))
	out = append(out, ' ')
	out = appendMailbox(out, name)
	s.c.out = append(out, "\r\n"...)
	s.c.spill()
}
