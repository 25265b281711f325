package policy

import (
	"fmt"
	"strings"

	"toastmaster/internal/dsn"
)

// ParseContent reads what a table says of a line of a message, an action of Postfix
// header_checks(5), in any case: Dunno, Reject, Defer (a REJECT whose status is
// for now), Hold, Discard, Filter, Redirect, BCC, Prepend, Warn, Info, Ignore, Strip, Replace or
// Pass, with Status and Text. The error is for the log.
func ParseContent(text string) (Result, error) {
	word, _ := cutAction(text)
	rest := strings.TrimLeft(text[len(word):], blanks) // space at the end belongs to a line
	switch upper := strings.ToUpper(word); upper {
	case "DUNNO", "OK":
		return Result{}, nil
	case "REJECT":
		r := Result{Action: Reject}
		r.Status, r.Text = dsn.Split(rest, 0)
		if r.Status != 0 && r.Status.Class() != 5 { // as Postfix: what makes no sense is no refusal for good
			r.Action, r.Status = Defer, dsn.Make(4, r.Status.Subject(), r.Status.Detail())
		}
		return r, nil
	default:
		if a, ok := notedAction(upper); ok {
			return Result{Action: a, Text: rest}, nil
		}
		for _, a := range []Action{Ignore, Strip, Replace, Pass} {
			if a.String() == upper {
				return Result{Action: a, Text: rest}, nil
			}
		}
	}
	return Result{}, fmt.Errorf("%q is no action of header_checks(5)", word)
}
