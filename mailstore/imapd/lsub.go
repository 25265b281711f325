package imapd

import (
	"strings"

	"toastmaster/internal/mime"
)

// runLsub is LSUB (RFC 3501 section 6.3.9).
func runLsub(s *session, a *args) (reply, error) {
	var q listRequest
	a.space()
	a.listPatterns(&q, s.srv.config.MaxListPatterns, byte(s.mail.Separator()))
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if q.asksSeparator() {
		s.lister().writeSeparator("LSUB")
		return reply{text: "Lsub completed"}, nil
	}
	folders, err := s.mail.List(s.ctx)
	if err != nil {
		return reply{}, err
	}
	matches, err := s.lister().matches(&q, folders)
	if err != nil {
		return reply{}, err
	}
	told := map[string]bool{}
	for i, f := range folders {
		if f.Subscribed && matches[i] {
			told[f.Name] = true
			s.lister().writeLsub(f.Name, subscriptionOnly(&f))
		}
	}
	for _, f := range folders {
		if !f.Subscribed {
			continue
		}
		if err := s.lister().lsubParents(&q, f.Name, told); err != nil {
			return reply{}, err
		}
	}
	return reply{text: "Lsub completed"}, nil
}

// lsubParents tells the parents of a subscribed mailbox that a "%" stopped
// at: "%" must show "foo" when only "foo/bar" is subscribed.
func (l *lister) lsubParents(q *listRequest, name string, told map[string]bool) error {
	for _, p := range q.patterns {
		if err := l.c.step(p.work()); err != nil {
			return err
		}
		if !strings.HasSuffix(p.text, "%") || p.match(name) {
			continue
		}
		for i := range len(name) {
			if name[i] != p.separator || told[name[:i]] {
				continue
			}
			if err := l.c.step(p.work()); err != nil {
				return err
			}
			if p.match(name[:i]) {
				told[name[:i]] = true
				l.writeLsub(name[:i], true)
			}
		}
	}
	return nil
}

func (l *lister) writeLsub(name string, noselect bool) {
	out := append(l.c.buf(), "* LSUB ("...)
	if noselect {
		out = append(out, `\Noselect`...)
	}
	out = append(out, ") "...)
	out = mime.AppendString(out, []byte(string(l.mail.Separator())))
	out = append(out, ' ')
	out = appendMailbox(out, name)
	l.c.put(append(out, "\r\n"...))
}
