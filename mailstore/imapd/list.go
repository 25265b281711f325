package imapd

import (
	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime"
	"toastmaster/mailstore"
)

// listRequest is LIST with the options of RFC 5258, RFC 5819 (STATUS) and RFC
// 6154 (SPECIAL-USE).
type listRequest struct {
	imap.ListOptions
	patterns []*pattern
	status   []statusItem
	extended bool
}

// list is LIST (RFC 3501 section 6.3.8, RFC 5258).
func (s *session) list(a *args) (reply, error) {
	if err := a.space(); err != nil {
		return reply{}, err
	}
	var q listRequest
	if a.peek() == '(' {
		if err := a.selectOptions(&q); err != nil {
			return reply{}, err
		}
		if err := a.space(); err != nil {
			return reply{}, err
		}
	}
	if err := a.listPatterns(&q, s.srv.config.MaxListPatterns, byte(s.user.Separator())); err != nil {
		return reply{}, err
	}
	if a.more() {
		if err := a.returnOptions(&q); err != nil {
			return reply{}, err
		}
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if !q.extended && q.asksSeparator() {
		s.writeSeparator("LIST")
		return reply{text: "List completed"}, nil
	}
	return reply{text: "List completed"}, s.writeList(&q)
}

func (a *args) selectOptions(q *listRequest) error {
	q.extended = true
	recursive := false
	err := a.list(func() error {
		w, err := a.atom()
		switch {
		case err != nil:
			return err
		case w == "SUBSCRIBED":
			q.SelectSubscribed = true
		case w == "SPECIAL-USE":
			q.SelectSpecialUse = true
		case w == "REMOTE":
			q.SelectRemote = true // there are none
		case w == "RECURSIVEMATCH":
			recursive = true
		default:
			return bad("Unknown selection option " + w)
		}
		return nil
	})
	q.SelectRecursiveMatch = recursive
	if err == nil && recursive && !q.SelectSubscribed && !q.SelectSpecialUse {
		return bad("RECURSIVEMATCH needs another selection option")
	}
	return err
}

// listPatterns reads reference and pattern, or a list of patterns, up to limit.
func (a *args) listPatterns(q *listRequest, limit int, separator byte) error {
	reference, err := a.astring()
	if err != nil {
		return err
	}
	if err := a.space(); err != nil {
		return err
	}
	one := func() error {
		p, err := a.listMailbox()
		if err != nil {
			return err
		}
		if len(q.patterns) >= limit {
			return no("LIMIT", "Too many patterns")
		}
		full := decodePattern(reference + p)
		if p == "" {
			full = "" // asks for the separator
		}
		q.patterns = append(q.patterns, newPattern(full, separator))
		return nil
	}
	if a.peek() == '(' {
		q.extended = true
		return a.list(one)
	}
	return one()
}

// listEnd ends a list-mailbox: an atom in which the wildcards are allowed.
var listEnd = func() [256]bool {
	t := atomEnd
	t['%'], t['*'] = false, false
	return t
}()

func (a *args) listMailbox() (string, error) {
	if c := a.peek(); c == '"' || c == '{' {
		return a.astring()
	}
	w := a.word(&listEnd)
	if len(w) == 0 {
		return "", errSyntax
	}
	return string(w), nil
}

func (a *args) returnOptions(q *listRequest) error {
	if w, err := a.atom(); err != nil || w != "RETURN" {
		return errSyntax
	}
	if err := a.space(); err != nil {
		return err
	}
	q.extended = true
	return a.list(func() error {
		w, err := a.atom()
		switch {
		case err != nil:
			return err
		case w == "SUBSCRIBED":
			q.ReturnSubscribed = true
		case w == "CHILDREN":
			q.ReturnChildren = true
		case w == "SPECIAL-USE":
			q.ReturnSpecialUse = true
		case w == "STATUS":
			if err := a.space(); err != nil {
				return err
			}
			q.status, err = a.statusList()
			return err
		default:
			return bad("Unknown return option " + w)
		}
		return nil
	})
}

func (s *session) writeSeparator(verb string) {
	out := append(s.c.buf(), "* "+verb+` (\Noselect) `...)
	out = mime.AppendString(out, []byte(string(s.user.Separator())))
	s.c.put(append(out, " \"\"\r\n"...))
}

// asksSeparator says that the one pattern is "", which asks for the separator.
func (q *listRequest) asksSeparator() bool {
	return len(q.patterns) == 1 && q.patterns[0].text == ""
}

func (s *session) writeList(q *listRequest) error {
	folders, err := s.user.List(s.ctx)
	if err != nil {
		return err
	}
	matches, err := s.matches(q, folders)
	if err != nil {
		return err
	}
	var above map[string]bool
	if q.SelectRecursiveMatch {
		above = s.childMatches(q, folders, matches)
	}
	for i := range folders {
		f := &folders[i]
		if !matches[i] || !q.selects(f) && !above[f.Name] {
			continue
		}
		s.writeListLine(q, f, above[f.Name])
		if q.status != nil && !f.NoSelect {
			if err := s.step(statusWork); err != nil {
				return err
			}
			// A mailbox whose state cannot be had is listed without it (RFC
			// 5819 section 2).
			if err := s.writeStatus(f.Name, q.status); err != nil {
				s.logFailure("LIST", refuse(err))
			}
		}
		if s.c.lost() {
			return s.c.Err()
		}
	}
	return nil
}

// statusWork is what STATUS of a mailbox costs, in units of session.step.
const statusWork = 1000

// matches says which folders fit the patterns.
func (s *session) matches(q *listRequest, folders []mailstore.Folder) ([]bool, error) {
	out := make([]bool, len(folders))
	for i := range folders {
		for _, p := range q.patterns {
			if err := s.step(p.work()); err != nil {
				return nil, err
			}
			if p.match(folders[i].Name) {
				out[i] = true
				break
			}
		}
	}
	return out, nil
}

// selects says whether the selection options want f.
func (q *listRequest) selects(f *mailstore.Folder) bool {
	switch {
	case q.SelectSubscribed && !f.Subscribed, q.SelectSpecialUse && f.SpecialUse == "":
		return false
	case q.SelectSubscribed:
		return true
	}
	return !gone(f)
}

// gone says that f is only a subscription to a mailbox that is no more.
func gone(f *mailstore.Folder) bool { return f.NoSelect && !f.HasChildren }

// childMatches are the folders with a descendant that the selection options
// want and the patterns do not show (RFC 5258 section 3.5).
func (s *session) childMatches(q *listRequest, folders []mailstore.Folder, matches []bool) map[string]bool {
	above := map[string]bool{}
	separator := byte(s.user.Separator())
	for i := range folders {
		if matches[i] || !q.selects(&folders[i]) {
			continue
		}
		name := folders[i].Name
		for k := range len(name) {
			if name[k] == separator {
				above[name[:k]] = true
			}
		}
	}
	return above
}

func (s *session) writeListLine(q *listRequest, f *mailstore.Folder, childInfo bool) {
	out := append(s.c.buf(), "* LIST ("...)
	switch {
	case gone(f) && q.extended:
		out = append(out, `\NonExistent `...)
	case f.NoSelect:
		out = append(out, `\Noselect `...)
	}
	if f.Subscribed && (q.ReturnSubscribed || q.SelectSubscribed) {
		out = append(out, `\Subscribed `...)
	}
	if f.HasChildren {
		out = append(out, `\HasChildren`...)
	} else {
		out = append(out, `\HasNoChildren`...)
	}
	if f.SpecialUse != "" {
		out = append(append(out, ' '), f.SpecialUse...)
	}
	out = append(out, ") "...)
	out = mime.AppendString(out, []byte(string(s.user.Separator())))
	out = append(out, ' ')
	out = appendMailbox(out, f.Name)
	if childInfo {
		out = append(out, ` ("CHILDINFO" ("SUBSCRIBED"))`...)
	}
	s.c.put(append(out, "\r\n"...))
}
