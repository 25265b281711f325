package milter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/milter"
	"toastmaster/internal/spool"
	"toastmaster/internal/wire"
)

// changes are what a filter wants changed in a message. Nothing is done before the filter has said its last word.
type changes struct {
	f *Filters
	// spaced says that values of fields have the space behind the colon.
	spaced bool
	log    func(what string, cause error)

	fields []fieldChange
	rcpts  []rcptChange
	from   *senderChange
	size   int64 // of all of them, in octets
	body   *spool.Buffer
	lines  *wire.LFWriter
	// bodyOver says that something else came behind a piece of the body.
	bodyOver bool
}

// maxFieldChanges bounds them in one message: each looks through the whole header. It is no parameter: no filter that means well
// comes near.
const maxFieldChanges = 10_000

type fieldChange struct {
	what        milter.Reply
	index       int
	name, value string
}

type rcptChange struct {
	remove bool
	to     envelope.Recipient
}

type senderChange struct {
	to     addr.Address
	ret    envelope.Return
	envID  string
	retSet bool
}

// take notes one change. Its error ends the conversation with the filter.
func (w *changes) take(r milter.Reply, data []byte) error {
	if r != milter.ReplaceBody {
		w.bodyOver = w.body != nil
		if w.size += int64(len(data)); w.size > w.f.o.Params.ChangeLimit {
			return own{errors.New("changes of more than milter.change_limit")}
		}
	}
	var err error
	switch r {
	case milter.AddHeader:
		err = w.field(r, 0, data)
	case milter.InsertHeader, milter.ChangeHeader:
		index, rest, ok := milter.CutNumber(data)
		if !ok || index > 1<<31-2 {
			return own{fmt.Errorf("a change %q without a number that can be", rune(r))}
		}
		err = w.field(r, int(index), rest)
	case milter.AddRcpt, milter.AddRcptArgs, milter.DeleteRcpt:
		err = w.rcpt(r, data)
	case milter.ChangeFrom:
		err = w.sender(data)
	case milter.ReplaceBody:
		return w.replace(data)
	}
	return err
}

// field reads a field.
func (w *changes) field(r milter.Reply, index int, data []byte) error {
	name, rest, ok := milter.Cut(data)
	value, rest, also := milter.Cut(rest)
	switch {
	case !ok || !also || len(rest) > 0:
		return fmt.Errorf("a change %q that is none", rune(r))
	case !fieldName(name):
		return own{fmt.Errorf("%.100q is no name of a field", name)}
	}
	if len(w.fields) == maxFieldChanges {
		return own{fmt.Errorf("more than %d changes of fields", maxFieldChanges)}
	}
	w.fields = append(w.fields, fieldChange{r, index, name, value})
	return nil
}

func fieldName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' })
}

// arguments are the texts of a change: an address, and parameters of ESMTP where there may be some.
func arguments(data []byte, params bool) (address string, rest []string, err error) {
	address, data, ok := milter.Cut(data)
	if !ok {
		return "", nil, errors.New("an address without an end")
	}
	if len(data) > 0 {
		text, data, ok := milter.Cut(data)
		if !ok || len(data) > 0 || !params {
			return "", nil, errors.New("an address with something behind it")
		}
		rest = strings.Fields(text)
	}
	return address, rest, nil
}

// address reads one in angle brackets, or without. An address without a domain gets this host's.
func (w *changes) address(text string) (addr.Address, error) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "<"); ok {
		text, _ = strings.CutSuffix(inner, ">")
	}
	if text == "" {
		return addr.Address{}, nil
	}
	a, err := addr.Parse(text)
	if err != nil {
		return a, own{fmt.Errorf("%.100q is no address: %w", text, err)}
	}
	if a.Domain == "" {
		a = a.WithDomain(w.f.o.Hostname)
	}
	return a, nil
}

func (w *changes) rcpt(r milter.Reply, data []byte) error {
	text, params, err := arguments(data, r == milter.AddRcptArgs)
	if err != nil {
		return err
	}
	a, err := w.address(text)
	if err != nil {
		return err
	}
	if a.IsNull() {
		w.log("a recipient without an address", nil)
		return nil
	}
	c := rcptChange{remove: r == milter.DeleteRcpt, to: envelope.Recipient{Address: a, Original: a}}
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		ok := false
		switch strings.ToUpper(key) {
		case "NOTIFY":
			c.to.Notify, ok = envelope.ParseNotify(value)
		case "ORCPT":
			c.to.ORcpt, ok = envelope.ParseORcpt(value)
		}
		if !ok {
			w.log("a parameter of a recipient", fmt.Errorf("%.100q", p))
		}
	}
	w.rcpts = append(w.rcpts, c)
	return nil
}

func (w *changes) sender(data []byte) error {
	text, params, err := arguments(data, true)
	if err != nil {
		return err
	}
	c := senderChange{}
	if c.to, err = w.address(text); err != nil {
		return err
	}
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		ok := false
		switch strings.ToUpper(key) {
		case "RET":
			c.ret, ok = envelope.ParseReturn(value)
			c.retSet = ok
		case "ENVID":
			if ok = envelope.IsEnvID(value); ok {
				c.envID = value
			}
		}
		if !ok {
			w.log("a parameter of a sender", fmt.Errorf("%.100q", p))
		}
	}
	w.from = &c
	return nil
}

// replace takes a piece of a body.
func (w *changes) replace(piece []byte) error {
	if w.bodyOver {
		return own{errors.New("a body in pieces with other changes between them")}
	}
	if w.body == nil {
		w.body = w.f.o.Spool.New()
		w.lines = wire.NewLFWriter(w.body)
	}
	if w.lines.Size()+int64(len(piece)) > w.f.o.MaxBody {
		return own{errors.New("a body of more than smtpd.message_size_limit")}
	}
	_, err := w.lines.Write(piece)
	return err
}

// undone forgets the changes.
func (w *changes) undone() *changes {
	if err := w.drop(); err != nil {
		w.log("a body", err)
	}
	return nil
}

// drop gives back what there is of a body.
func (w *changes) drop() error {
	if w == nil || w.body == nil {
		return nil
	}
	b := w.body
	w.body = nil
	return b.Close()
}

// apply carries them out. The draft is whole also when it fails.
func (w *changes) apply(ctx context.Context, d *envelope.Draft) error {
	if w == nil {
		return nil
	}
	w.envelope(d.Envelope)
	if len(w.fields) == 0 && w.body == nil {
		return nil
	}
	if w.lines != nil {
		if err := w.lines.Close(); err != nil {
			return errWith(dsn.From(err), w.drop())
		}
	}
	return errWith(dsn.From(w.content(ctx, d)), w.drop())
}

// errWith is e with another error as a cause.
func errWith(e *dsn.Error, more error) error {
	switch {
	case e == nil && more == nil:
		return nil
	case e == nil:
		return dsn.From(more)
	case more == nil:
		return e
	}
	both := *e
	both.Cause = errors.Join(e.Cause, more)
	return &both
}

// envelope changes sender and recipients.
func (w *changes) envelope(env *envelope.Envelope) {
	if c := w.from; c != nil {
		env.Sender = c.to
		if c.retSet {
			env.Return = c.ret
		}
		if c.envID != "" {
			env.EnvID = c.envID
		}
	}
	if len(w.rcpts) == 0 {
		return
	}
	env.Recipients = recipientsAfter(env.Recipients, w.rcpts)
}

// recipientsAfter is a list after changes, of which there may be very many. What others hold of the list stays as it is.
func recipientsAfter(list []envelope.Recipient, changes []rcptChange) []envelope.Recipient {
	all := slices.Clone(list)
	there := make(map[addr.Address]bool, len(all))
	for _, r := range all {
		there[r.Original.Fold()] = true
	}
	gone := map[addr.Address]int{} // of those before this place nobody has the address any more
	for _, c := range changes {
		key := c.to.Address.Fold()
		switch {
		case c.remove:
			gone[key], there[key] = len(all), false
		case !there[key]:
			all, there[key] = append(all, c.to), true
		}
	}
	left := all[:0]
	for i, r := range all {
		if i >= gone[r.Original.Fold()] {
			left = append(left, r)
		}
	}
	return left
}
