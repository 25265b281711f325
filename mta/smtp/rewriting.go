package smtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/addrfield"
	"toastmaster/internal/dsn"
	"toastmaster/internal/header"
	"toastmaster/mta/addrmap"
	"toastmaster/mta/contentcheck"
	"toastmaster/mta/policy"
)

// rewriting is what becomes of mail on its way out: smtp.generic_maps, and the tables of smtp.header_checks and
// its like.
type rewriting struct {
	generic addrmap.Maps
	checks  [contentcheck.Classes]check
	limits  contentcheck.Limits
	// tokens is cleanup.header_address_token_limit.
	tokens int
}

// check is a parameter with the tables in it.
type check struct {
	param string
	maps  tables.Maps
}

// newRewriting opens the tables.
func newRewriting(ctx context.Context, o Options) (rewriting, error) {
	p, c := &o.Params, &o.Cleanup
	r := rewriting{
		limits: contentcheck.Limits{Field: c.HeaderSizeLimit, Line: c.LineLengthLimit, Body: c.BodyChecksLimit}, tokens: c.Rewriting.TokenLimit,
		generic: addrmap.Maps{
			Param: "smtp.generic_maps", Once: true, Form: addrfield.Form{Origin: o.Hostname}, Keys: keys.Options{Delimiters: o.Delimiters, Own: o.Own},
		},
	}
	for _, kind := range c.Rewriting.PropagateExtensions {
		r.generic.Propagate = r.generic.Propagate || kind == "generic"
	}
	section := "smtp."
	if o.LMTP {
		section = "smtp.lmtp_"
	}
	for _, row := range []struct {
		to    *tables.Maps
		param *string
		name  string
		names []string
	}{
		{&r.generic.Tables, &r.generic.Param, "generic_maps", p.GenericMaps},
		{&r.checks[contentcheck.Header].maps, &r.checks[contentcheck.Header].param, "header_checks", p.HeaderChecks},
		{&r.checks[contentcheck.MIME].maps, &r.checks[contentcheck.MIME].param, "mime_header_checks", p.MIMEHeaderChecks},
		{&r.checks[contentcheck.Nested].maps, &r.checks[contentcheck.Nested].param, "nested_header_checks", p.NestedChecks},
		{&r.checks[contentcheck.Body].maps, &r.checks[contentcheck.Body].param, "body_checks", p.BodyChecks},
	} {
		*row.param = section + row.name
		if len(row.names) == 0 {
			continue
		}
		if o.Tables == nil {
			return r, errors.New(*row.param + ": there are no tables")
		}
		maps, item, err := o.Tables.OpenAll(ctx, row.names)
		if err != nil {
			return r, fmt.Errorf("%s: %s: %w", *row.param, row.names[item], err)
		}
		*row.to = maps
	}
	return r, nil
}

// inBodies says that more than the header of the message itself is looked at.
func (r *rewriting) inBodies() bool {
	return len(r.checks[contentcheck.MIME].maps)+len(r.checks[contentcheck.Nested].maps)+len(r.checks[contentcheck.Body].maps) > 0
}

// rewrite makes the envelope and the content that leave. Who gets a report, and what stands in it, stays as it is. The error is a
// *dsn.Error: the message waits.
func (d *delivery) rewrite(ctx context.Context) (err error) {
	r := &d.agent.rewriting
	d.sender, d.content = d.request.Envelope.Sender, d.request.Content
	if len(r.generic.Tables) > 0 {
		if d.sender, err = r.generic.MapAddress(ctx, d.sender); err != nil {
			return err
		}
		d.mapped = make(map[int]addr.Address, len(d.todo))
		for _, i := range d.todo {
			if d.mapped[i], err = r.generic.MapAddress(ctx, d.request.Envelope.Recipients[i].Address); err != nil {
				return err
			}
		}
	}
	if len(r.generic.Tables)+len(r.checks[contentcheck.Header].maps) == 0 && !r.inBodies() {
		return nil
	}
	o := outgoing{r: r, left: r.tokens, log: d.agent.log.With("service", "smtp", "id", string(d.request.Envelope.ID))}
	w := contentcheck.Walk{Content: d.content, Limits: r.limits, Bodies: len(r.checks[contentcheck.Body].maps) > 0, Look: o.look}
	if r.inBodies() {
		err = w.Message(ctx)
	} else {
		_, err = w.Fields(ctx, 0, d.content.Size(), contentcheck.Header)
	}
	if err == nil && len(o.edits) > 0 {
		d.content = contentcheck.Patched(d.content, o.edits)
	}
	return err
}

// to is a recipient as RCPT says it.
func (d *delivery) to(i int) addr.Address {
	if a, ok := d.mapped[i]; ok {
		return a
	}
	return d.request.Envelope.Recipients[i].Address
}

// outgoing is a content that is looked at.
type outgoing struct {
	r     *rewriting
	edits []contentcheck.Edit
	left  int // of the tokens
	log   *slog.Logger
}

// maxEdits bounds the changes to one message. It is no parameter: cleanup.body_checks_size_limit bounds them before.
const maxEdits = 1 << 16

// look asks the tables about a field or line, then maps the addresses of a field, as Postfix.
func (o *outgoing) look(ctx context.Context, class contentcheck.Class, f contentcheck.Found) (over bool, err error) {
	before, text, kept, err := o.checked(ctx, class, f)
	if err != nil {
		return true, err
	}
	changed := !kept || text != f.Text
	if kept && class == contentcheck.Header && f.IsField && len(o.r.generic.Tables) > 0 {
		written, err := o.mapped(ctx, text)
		switch {
		case err != nil:
			return true, err
		case written != "":
			return false, o.edit(f.From, f.To, before+written)
		}
	}
	switch {
	case changed && !kept:
		return false, o.edit(f.From, f.To, before)
	case changed:
		return false, o.edit(f.From, f.To, before+text+f.End)
	case before != "":
		return false, o.edit(f.From, f.From, before)
	}
	return false, nil
}

// edit notes a change; those that stand side by side are one.
func (o *outgoing) edit(from, to int64, text string) error {
	if n := len(o.edits); n > 0 && o.edits[n-1].To == from && to > from {
		o.edits[n-1].To = to
		o.edits[n-1].Text += text
		return nil
	}
	if len(o.edits) >= maxEdits {
		return misconfigured(fmt.Errorf("the tables change more than %d places of one message", maxEdits))
	}
	o.edits = append(o.edits, contentcheck.Edit{From: from, To: to, Text: text})
	return nil
}

func misconfigured(err error) *dsn.Error {
	return dsn.Wrap(dsn.Misconfigured, "Server configuration error", err)
}

// checked does what the tables of a class want, as far as that can be done to mail that leaves: it stays, goes, is
// another text, or has one before it.
func (o *outgoing) checked(ctx context.Context, class contentcheck.Class, f contentcheck.Found) (before, text string, kept bool, err error) {
	c := &o.r.checks[class]
	if len(c.maps) == 0 {
		return "", f.Text, true, nil
	}
	log := o.log.With("check", c.param)
	said, err := c.maps.Lookup(ctx, f.Text)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return "", f.Text, true, nil
	case err != nil:
		log.Error("content check without an answer", "table", c.maps.String(), "cause", err)
		return "", "", false, dsn.Wrap(dsn.MailSystem, "Temporary failure while checking the content", fmt.Errorf("%s: %w", c.param, err))
	}
	result, err := policy.ParseContent(said)
	if err == nil {
		if before, text, kept, err = obey(f, result); err == nil && result.Action != policy.Dunno && result.Action != policy.Ignore {
			level := slog.LevelInfo
			if result.Action == policy.Warn {
				level = slog.LevelWarn
			}
			keys := []any{"action", result.Action.String()}
			if result.Action != policy.Replace && result.Action != policy.Prepend { // that is content, and in no log
				keys = append(keys, "argument", result.Text)
			}
			log.Log(ctx, level, "content check", keys...)
		}
	}
	if err != nil {
		log.Error("content check says what cannot be done", "table", c.maps.String(), "cause", err)
		err = misconfigured(fmt.Errorf("%s: %w", c.param, err))
	}
	return before, text, kept, err
}

// obey does one action.
func obey(f contentcheck.Found, r policy.Result) (before, text string, kept bool, err error) {
	switch r.Action {
	case policy.Dunno, policy.Warn, policy.Info:
		return "", f.Text, true, nil
	case policy.Ignore, policy.Strip:
		return "", "", false, nil
	case policy.Replace, policy.Prepend:
		if text = r.Text; f.IsField {
			text = contentcheck.Field(text)
		}
		if text == "" {
			return "", "", false, fmt.Errorf("%s without a header field: Name: text", r.Action)
		}
		if r.Action == policy.Prepend {
			return text + "\n", f.Text, true, nil
		}
		return "", text, true, nil
	}
	return "", "", false, fmt.Errorf("%s is not for mail that leaves: it is in the queue already, use the tables of [cleanup]", r.Action)
}

// mapped is a field with other addresses, "" when none changes.
func (o *outgoing) mapped(ctx context.Context, field string) (string, error) {
	name, value, ok := header.Cut([]byte(field))
	if !ok || addrmap.KindOf(string(name)) == addrmap.Other || o.left <= 0 {
		return "", nil
	}
	if int64(len(field)) >= o.r.limits.Field {
		return "", nil // its end was not seen
	}
	list, ok := addrfield.Parse(string(value), o.left)
	if !ok {
		return "", nil
	}
	o.left -= list.Tokens()
	var failed error
	changed := list.Rewrite(func(address string) string {
		is, err := o.r.generic.Map(ctx, address)
		if err != nil {
			failed = errors.Join(failed, err)
			return address
		}
		return is
	})
	if failed != nil || !changed {
		return "", failed
	}
	return string(list.Field(strings.TrimSpace(string(name)))), nil
}
