package policy

import (
	"errors"
	"slices"
	"strings"

	"toastmaster/configs"
)

// Lists are the restrictions of one kind of port.
type Lists struct {
	Client, Helo, Sender, Relay, Recipient, Data, EndOfData List
}

// CompileLists makes the lists of a kind of port; prefix is that of its
// parameters, "smtpd.mua_". Lists that would make an open relay are an error. The
// error is a *Mistake, of several the first.
func CompileLists(prefix string, c configs.Restrictions, e *Env) (*Lists, error) {
	l := &Lists{}
	for _, one := range []struct {
		name  string
		stage Stage
		names []string
		to    *List
	}{
		{"client", Connect, c.Client, &l.Client},
		{"helo", Helo, c.Helo, &l.Helo},
		{"sender", Mail, c.Sender, &l.Sender},
		{"relay", Rcpt, c.Relay, &l.Relay},
		{"recipient", Rcpt, c.Recipient, &l.Recipient},
		{"data", Data, c.Data, &l.Data},
		{"end_of_data", EndOfData, c.EndOfData, &l.EndOfData},
	} {
		list, err := Compile(one.stage, one.names, e)
		if err != nil {
			m := &Mistake{Item: -1, Err: err}
			errors.As(err, &m)
			m.Param = prefix + one.name + "_restrictions"
			return nil, m
		}
		*one.to = list
	}
	if !guarded(c.Relay) && !guarded(c.Recipient) {
		return nil, &Mistake{Param: prefix + "relay_restrictions", Item: -1, Err: errOpenRelay(prefix)}
	}
	return l, nil
}

// guards are the restrictions of which one must be there, as Postfix's
// smtpd_relay_restrictions demands.
var guards = []string{"reject_unauth_destination", "defer_unauth_destination", "reject", "defer"}

// guarded says that a list has a guard that can be reached: what stands behind
// permit is never asked.
func guarded(names []string) bool {
	if i := slices.Index(names, "permit"); i >= 0 {
		names = names[:i]
	}
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(guards, name) })
}

func errOpenRelay(prefix string) error {
	return errors.New("anybody could send mail to anywhere through this host (an open relay): this list or " + prefix +
		"recipient_restrictions must have one of " + strings.Join(guards, ", ") + ", and not behind permit")
}
