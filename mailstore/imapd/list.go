package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime"
	"toastmaster/mailstore"
)

// listRequest is LIST with the options of RFC 5258, RFC 5819 (STATUS) and RFC
// 6154 (SPECIAL-USE).
type listRequest struct {
	imap.ListOptions
	patterns []string
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
	if err := a.listPatterns(&q); err != nil {
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
	if !q.extended && len(q.patterns) == 1 && q.patterns[0] == "" {
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

// listPatterns reads reference and pattern, or a list of patterns.
func (a *args) listPatterns(q *listRequest) error {
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
		full, ok := decodeUTF7(reference + p)
		if !ok {
			return errBadName
		}
		if p == "" {
			full = "" // asks for the separator
		}
		q.patterns = append(q.patterns, full)
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
	s.c.out = append(out, " \"\"\r\n"...)
}

func (s *session) writeList(q *listRequest) error {
	folders, err := s.user.List(s.ctx)
	if err != nil {
		return err
	}
	separator := byte(s.user.Separator())
	for i := range folders {
		f := &folders[i]
		if !matchAny(q.patterns, f.Name, separator) {
			continue
		}
		picked := q.selects(f)
		childInfo := q.SelectRecursiveMatch && s.childMatches(q, folders, f, separator)
		if !picked && !childInfo {
			continue
		}
		s.writeListLine(q, f, childInfo)
		if q.status != nil && !f.NoSelect {
			// A mailbox whose state cannot be had is listed without it (RFC
			// 5819 section 2).
			if err := s.writeStatus(f.Name, q.status); err != nil {
				s.logFailure("LIST", refuse(err))
			}
		}
	}
	return nil
}

func matchAny(patterns []string, name string, separator byte) bool {
	for _, p := range patterns {
		if match(p, name, separator) {
			return true
		}
	}
	return false
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

// childMatches says that f has a descendant which the selection options want
// and the patterns do not show (RFC 5258 section 3.5).
func (s *session) childMatches(q *listRequest, folders []mailstore.Folder, f *mailstore.Folder, separator byte) bool {
	prefix := f.Name + string(separator)
	for i := range folders {
		if strings.HasPrefix(folders[i].Name, prefix) && q.selects(&folders[i]) &&
			!matchAny(q.patterns, folders[i].Name, separator) {
			return true
		}
	}
	return false
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
	s.c.out = append(out, "\r\n"...)
	s.c.spill()
}
