package imapd

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime"
	"toastmaster/mailstore"
)

// lister tells mailboxes and their states.
type lister struct {
	c    *conn
	ctx  context.Context
	mail *mailstore.Session
	// failed is told what failed for one mailbox, without an end to the list.
	failed func(error)
}

// listRequest is LIST with the options of RFC 5258, RFC 5819 (STATUS) and RFC
// 6154 (SPECIAL-USE).
type listRequest struct {
	imap.ListOptions
	patterns []*pattern
	status   []statusItem
	extended bool
}

// runList is LIST (RFC 3501 section 6.3.8, RFC 5258).
func runList(s *session, a *args) (reply, error) {
	var q listRequest
	a.space()
	if a.peek() == '(' {
		a.selectOptions(&q)
		a.space()
	}
	a.listPatterns(&q, s.srv.config.MaxListPatterns, byte(s.mail.Separator()))
	if a.more() {
		a.returnOptions(&q)
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if !q.extended && q.asksSeparator() {
		s.lister().writeSeparator("LIST")
		return reply{text: "List completed"}, nil
	}
	return reply{text: "List completed"}, s.lister().writeList(&q)
}

// listOption is a row of the options of LIST. RETURN has further arguments for
// some, which read reads.
type listOption struct {
	name string
	caps []capability
	set  func(*listRequest)
	read func(*args, *listRequest)
}

// selectionOptions are those before the patterns.
var selectionOptions = []listOption{
	{name: "SUBSCRIBED", caps: has("LIST-EXTENDED"), set: func(q *listRequest) { q.SelectSubscribed = true }},
	{name: "SPECIAL-USE", set: func(q *listRequest) { q.SelectSpecialUse = true }},
	{name: "REMOTE", set: func(q *listRequest) { q.SelectRemote = true }}, // there are none
	{name: "RECURSIVEMATCH", set: func(q *listRequest) { q.SelectRecursiveMatch = true }},
}

// listReturns are those of RETURN.
var listReturns = []listOption{
	{name: "SUBSCRIBED", set: func(q *listRequest) { q.ReturnSubscribed = true }},
	{name: "CHILDREN", set: func(q *listRequest) { q.ReturnChildren = true }},
	{name: "SPECIAL-USE", set: func(q *listRequest) { q.ReturnSpecialUse = true }},
	{name: "STATUS", caps: has("LIST-STATUS"), read: func(a *args, q *listRequest) {
		a.space()
		q.status = a.statusList()
	}},
}

// options reads a list of options; kind is for the error.
func (a *args) options(q *listRequest, rows []listOption, kind string) {
	q.extended = true
	a.list(func() {
		w := a.atom()
		for _, o := range rows {
			switch {
			case o.name != w:
				continue
			case o.read != nil:
				o.read(a, q)
			default:
				o.set(q)
			}
			return
		}
		a.fail(bad("Unknown " + kind + " option " + w))
	})
}

func (a *args) selectOptions(q *listRequest) {
	a.options(q, selectionOptions, "selection")
	if q.SelectRecursiveMatch && !q.SelectSubscribed && !q.SelectSpecialUse {
		a.fail(bad("RECURSIVEMATCH needs another selection option"))
	}
}

// listPatterns reads reference and pattern, or a list of patterns, up to limit.
func (a *args) listPatterns(q *listRequest, limit int, separator byte) {
	reference := a.astring()
	a.space()
	one := func() {
		p := a.listMailbox()
		if len(q.patterns) >= limit {
			a.fail(no("LIMIT", "Too many patterns"))
		}
		if a.err != nil {
			return
		}
		full := decodePattern(reference + p)
		if p == "" {
			full = "" // asks for the separator
		}
		q.patterns = append(q.patterns, newPattern(full, separator))
	}
	if a.peek() == '(' {
		q.extended = true
		a.list(one)
		return
	}
	one()
}

// listEnd ends a list-mailbox: an atom in which the wildcards are allowed.
var listEnd = func() [256]bool {
	t := atomEnd
	t['%'], t['*'] = false, false
	return t
}()

func (a *args) listMailbox() string {
	if c := a.peek(); c == '"' || c == '{' {
		return a.astring()
	}
	w := a.word(&listEnd)
	if len(w) == 0 {
		a.fail(errSyntax)
	}
	return string(w)
}

func (a *args) returnOptions(q *listRequest) {
	if a.atom() != "RETURN" {
		a.fail(errSyntax)
	}
	a.space()
	a.options(q, listReturns, "return")
}

func (l *lister) writeSeparator(verb string) {
	out := append(l.c.buf(), "* "+verb+` (\Noselect) `...)
	out = mime.AppendString(out, []byte(string(l.mail.Separator())))
	l.c.put(append(out, " \"\"\r\n"...))
}

// asksSeparator says that the one pattern is "", which asks for the separator.
func (q *listRequest) asksSeparator() bool {
	return len(q.patterns) == 1 && q.patterns[0].text == ""
}

func (l *lister) writeList(q *listRequest) error {
	folders, err := l.mail.List(l.ctx)
	if err != nil {
		return err
	}
	matches, err := l.matches(q, folders)
	if err != nil {
		return err
	}
	var above map[string]bool
	if q.SelectRecursiveMatch {
		above = l.childMatches(q, folders, matches)
	}
	for i := range folders {
		f := &folders[i]
		if !matches[i] || !q.selects(f) && !above[f.Name] {
			continue
		}
		l.writeListLine(q, f, above[f.Name])
		if q.status != nil && !f.NoSelect {
			if err := l.c.step(statusWork); err != nil {
				return err
			}
			// A mailbox whose state cannot be had is listed without it (RFC
			// 5819 section 2).
			if err := l.writeStatusOf(f.Name, q.status); err != nil {
				l.failed(err)
			}
		}
		if l.c.lost() {
			return l.c.Err()
		}
	}
	return nil
}

// statusWork is what STATUS of a mailbox costs, in units of conn.step.
const statusWork = 1000

// matches says which folders fit the patterns.
func (l *lister) matches(q *listRequest, folders []mailstore.Folder) ([]bool, error) {
	out := make([]bool, len(folders))
	for i := range folders {
		for _, p := range q.patterns {
			if err := l.c.step(p.work()); err != nil {
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
	return !subscriptionOnly(f)
}

// subscriptionOnly says that f is only a subscription to a mailbox that is no more.
func subscriptionOnly(f *mailstore.Folder) bool { return f.NoSelect && !f.HasChildren }

// childMatches are the folders with a descendant that the selection options
// want and the patterns do not show (RFC 5258 section 3.5).
func (l *lister) childMatches(q *listRequest, folders []mailstore.Folder, matches []bool) map[string]bool {
	above := map[string]bool{}
	separator := byte(l.mail.Separator())
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

func (l *lister) writeListLine(q *listRequest, f *mailstore.Folder, childInfo bool) {
	out := append(l.c.buf(), "* LIST ("...)
	switch {
	case subscriptionOnly(f) && q.extended:
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
	out = mime.AppendString(out, []byte(string(l.mail.Separator())))
	out = append(out, ' ')
	out = appendMailbox(out, f.Name)
	if childInfo {
		out = append(out, ` ("CHILDINFO" ("SUBSCRIBED"))`...)
	}
	l.c.put(append(out, "\r\n"...))
}
