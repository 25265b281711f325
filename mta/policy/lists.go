package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"toastmaster/configs"
)

// Lists are the restrictions of one kind of port.
type Lists struct {
	Client, Helo, Sender, Relay, Recipient, Data, EndOfData, Etrn List
	// Delayed says that those of client, HELO and sender are asked at RCPT.
	Delayed bool
}

// CompileLists makes the lists of a kind of port; prefix is that of its
// parameters, "smtpd.mua_". Lists that would make an open relay are an error. The
// error is a *Mistake, of several the first.
func CompileLists(prefix string, c configs.Restrictions, e *Env) (*Lists, error) {
	l := &Lists{Delayed: c.Delay}
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
		{"etrn", Etrn, c.Etrn, &l.Etrn},
	} {
		k := &compiler{rows: rows(), argued: arguedRows(), stage: one.stage, asked: one.stage, env: e}
		if c.Delay && one.stage < Rcpt {
			k.asked = Rcpt
		}
		list, err := k.list(one.names)
		if err != nil {
			m := &Mistake{Item: -1, Err: err}
			errors.As(err, &m)
			m.Param = prefix + one.name + "_restrictions"
			return nil, m
		}
		*one.to = list
	}
	if !e.guarded(c.Relay) && !e.guarded(c.Recipient) {
		return nil, &Mistake{Param: prefix + "relay_restrictions", Item: -1, Err: errOpenRelay(prefix)}
	}
	return l, nil
}

// CheckClasses finds a mistake in a class. The error is a *Mistake.
func (e *Env) CheckClasses() error {
	for _, name := range slices.Sorted(maps.Keys(e.Classes)) {
		param := "restriction_class." + name
		c := &compiler{rows: rows(), argued: arguedRows(), stage: Rcpt, asked: Rcpt, env: e, within: []string{name}}
		if _, err := c.list(e.Classes[name]); err != nil {
			m := &Mistake{Item: -1, Err: err}
			errors.As(err, &m)
			m.Param = param + ".restrictions"
			return m
		}
		if c.knows(name) {
			return &Mistake{Param: param + ".name", Item: -1, Err: fmt.Errorf("%s is a restriction", name)}
		}
	}
	if err := checkTemplate(e.RBLReply); err != nil {
		return &Mistake{Param: cmp.Or(e.Section, "smtpd") + ".default_rbl_reply", Item: -1, Err: err}
	}
	return nil
}

// guards are the restrictions of which one must be there, as Postfix's
// smtpd_relay_restrictions demands.
var guards = []string{"reject_unauth_destination", "defer_unauth_destination", "reject", "defer", "defer_if_permit"}

// guarded says that a list has a guard that can be reached: what stands behind
// permit is never asked, and what only warns guards nothing. A class guards as its list
// does; Compile has seen that none is in itself.
func (e *Env) guarded(items []string) bool {
	for i, item := range items {
		name, _ := fields(item)
		switch {
		case i > 0 && strings.TrimSpace(items[i-1]) == warnIfReject:
		case name == "permit":
			return false
		case slices.Contains(guards, name), e.guarded(e.Classes[name]):
			return true
		}
	}
	return false
}

func errOpenRelay(prefix string) error {
	return errors.New("anybody could send mail to anywhere through this host (an open relay): this list or " + prefix +
		"recipient_restrictions must have one of " + strings.Join(guards, ", ") + ", and not behind permit")
}
