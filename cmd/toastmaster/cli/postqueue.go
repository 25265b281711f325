package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/internal/addr"
)

// postqueueFatal is the exit code of Postfix's postqueue for everything that fails
// (EX_UNAVAILABLE of sysexits.h), wrong usage included.
const postqueueFatal = 69

const postqueueUsage = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site"

// newPostqueueCommand has the command line of Postfix's postqueue(1).
func newPostqueueCommand(env *Environment) *cobra.Command {
	return newQueueProgramCommand(env, "postqueue -f | -i ID | -j | -p | -s SITE", "List or flush the queue, as Postfix's postqueue does",
		"Works on the queue as Postfix's postqueue(1) does: -p lists it as mailq does, -j one JSON object a\n"+
			"line with Postfix's names; -f makes all deferred mail due, -i ID one deferred message, -s SITE\n"+
			"all deferred mail for that domain, which is found without reading the queue when it is one of\n"+
			"flush.fast_flush_domains. -c FILE names the configuration. Called as\n"+
			"postqueue the exit code is 0, or 69 for whatever fails; as a subcommand 0 or 1.", Postqueue)
}

// Postqueue is the program when it is called as postqueue.
func Postqueue(ctx context.Context, env *Environment, args []string) int {
	p := newQueueProgram(env, "postqueue")
	return p.end(p.postqueue(ctx, args), postqueueFatal)
}

func (p *queueProgram) postqueue(ctx context.Context, args []string) error {
	flush := p.flags.BoolP("flush", "f", false, "")
	id := p.flags.StringP("id", "i", "", "")
	asJSON := p.flags.BoolP("json", "j", false, "")
	list := p.flags.BoolP("list", "p", false, "")
	site := p.flags.StringP("site", "s", "", "")
	if err := p.flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return p.help(postqueueUsage)
	} else if err != nil {
		return fmt.Errorf("%w; %s", err, postqueueUsage)
	}
	chosen := 0
	for _, name := range []string{"flush", "id", "json", "list", "site"} {
		if p.flags.Changed(name) {
			chosen++
		}
	}
	switch {
	case chosen != 1 || p.flags.NArg() > 0:
		return errors.New(postqueueUsage)
	case p.flags.Changed("id") && !validQueueID(*id):
		return fatalf("Cannot flush queue ID - invalid name: %q", *id)
	}
	if p.flags.Changed("site") {
		if _, err := addr.ParseDomain(*site); err != nil && !addressLiteral(*site) {
			return fatalf("Cannot flush mail queue - invalid destination: %q", *site)
		}
	}
	if *list || *asJSON {
		return p.withQueue(ctx, readsQueue, func(q mailQueue) error {
			if *list {
				return queueListText(ctx, p.stdout, q, model.QueueFilter{})
			}
			return client.Each(ctx, q.Queue, model.QueueFilter{}, func(m model.QueuedMessage) error { return writePostfixJSON(p.stdout, m) })
		})
	}
	return p.withClient(func(c *client.Client) error {
		switch {
		case *flush:
			_, err := c.Flush(ctx, model.QueueFilter{})
			return err
		case *id != "":
			n, err := c.Flush(ctx, model.QueueFilter{ID: *id})
			if err == nil && n == 0 {
				p.warn("%s: no deferred message has this queue ID", *id)
			}
			return err
		}
		_, err := c.Flush(ctx, model.QueueFilter{Site: *site})
		return err
	})
}

// writePostfixJSON writes a message as one line with the names, the order and the blanks of
// postqueue -j.
func writePostfixJSON(w io.Writer, m model.QueuedMessage) error {
	sender := m.Sender
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	var line bytes.Buffer
	fmt.Fprintf(&line, `{"queue_name": %s, "queue_id": %s, "arrival_time": %d, "message_size": %d, "forced_expire": %t, "sender": %s, "recipients": [`,
		jsonText(m.Place), jsonText(m.ID), m.Arrived.Unix(), m.Size, m.ForcedExpire, jsonText(sender))
	for i, r := range m.Recipients {
		if i > 0 {
			line.WriteString(", ")
		}
		fmt.Fprintf(&line, `{"address": %s`, jsonText(r.Address))
		if r.Reason != "" {
			fmt.Fprintf(&line, `, "delay_reason": %s`, jsonText(withoutStatus(r.Reason)))
		}
		line.WriteByte('}')
	}
	line.WriteString("]}\n")
	_, err := w.Write(line.Bytes())
	return err
}

// withoutStatus is a reason as Postfix lists it: the status (RFC 3463) that it begins with
// is for programs, which have it in `queue list --json`.
func withoutStatus(reason string) string {
	status, text, found := strings.Cut(reason, " ")
	if parts := strings.Split(status, "."); found && len(parts) == 3 && len(parts[0]) == 1 {
		for _, p := range parts {
			if _, err := strconv.ParseUint(p, 10, 16); err != nil {
				return reason
			}
		}
		return text
	}
	return reason
}

// jsonText is a JSON string; < and > stay as they are.
func jsonText(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return []byte(`""`) // never: a string has a JSON form
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// addressLiteral says that a site is an address in brackets.
func addressLiteral(site string) bool {
	_, err := addr.Parse("x@" + site)
	return strings.HasPrefix(site, "[") && err == nil
}
