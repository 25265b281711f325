package policy

import (
	"errors"
	"fmt"
	"strings"

	"toastmaster/internal/dsn"
)

// Result is what an access table or a policy service says: one action of access(5), or a
// list of restrictions.
type Result struct {
	// Action is what is wanted; Dunno with a List is that of the list.
	Action Action
	// Code is the code of "nnn text", 0 where a parameter says it (REJECT, DEFER,
	// DEFER_IF_*). Status is the enhanced status before the text, 0 for none. Both belong to
	// actions with a reply.
	Code   int
	Status dsn.Status
	// Text is the text of the reply, or what the action needs: "transport:nexthop", an
	// address, a header field, words for the log.
	Text string
	// List has restrictions and the names of classes, with their arguments as words of their own.
	List []string
}

// ParseResult reads one, as Postfix does: the first word decides, in any case, white space behind
// it is passed over. What is no action is a list of restrictions, which is not looked at
// here. The error is for the log.
func ParseResult(text string) (Result, error) {
	word, rest := cutAction(text)
	switch upper := strings.ToUpper(word); upper {
	case "DUNNO":
		return Result{}, nil
	case "OK", "RELAY":
		return Result{Action: Permit}, nil
	case "REJECT":
		return reply(Result{Action: Reject}, 5, rest), nil
	case "DEFER":
		return reply(Result{Action: Defer}, 4, rest), nil
	case "DEFER_IF_PERMIT":
		return reply(Result{Action: DeferIfPermit}, 4, rest), nil
	case "DEFER_IF_REJECT":
		return reply(Result{Action: DeferIfReject}, 4, rest), nil
	default:
		if a, ok := notedAction(upper); ok {
			return Result{Action: a, Text: rest}, nil
		}
	}
	if text != "" && strings.Trim(text, "0123456789") == "" {
		return Result{Action: Permit}, nil // what some servers of log-ins leave in a table: a time
	}
	if len(word) == 3 && rest != "" && (word[0] == '4' || word[0] == '5') && isDigit(word[1]) && isDigit(word[2]) {
		r := Result{Action: Reject, Code: int(word[0]-'0')*100 + int(word[1]-'0')*10 + int(word[2]-'0')}
		if word[0] == '4' {
			r.Action = Defer
		}
		return reply(r, int(word[0]-'0'), rest), nil
	}
	return restrictionsOf(text)
}

// cutAction takes the first word apart from what stands behind it.
func cutAction(text string) (word, rest string) {
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i], strings.Trim(text[i:], blanks)
	}
	return text, ""
}

const blanks = " \t\r\n\v\f"

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// notedAction is an action that is done to the message, or only said in the log.
func notedAction(word string) (Action, bool) {
	for _, a := range []Action{Hold, Discard, Filter, Redirect, BCC, Prepend, Warn, Info} {
		if a.String() == word {
			return a, true
		}
	}
	return Dunno, false
}

// reply takes status and text apart. The class of a status is that of the action, whatever
// it says: that of the reply's code.
func reply(r Result, class int, text string) Result {
	r.Status, r.Text = dsn.Split(text, 0)
	if r.Status != 0 {
		r.Status = dsn.Make(class, r.Status.Subject(), r.Status.Detail())
	}
	return r
}

// restrictionsOf reads a list of restrictions: words between commas and white space.
func restrictionsOf(text string) (Result, error) {
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || strings.ContainsRune(blanks, c) })
	if len(words) == 0 {
		return Result{}, errors.New("the text is empty")
	}
	for _, w := range words {
		if strings.ContainsRune(w, ':') {
			return Result{}, fmt.Errorf("%q names a table or a service: give a list with it a name ([[restriction_class]]), and let the name stand here", w)
		}
	}
	return Result{List: words}, nil
}
