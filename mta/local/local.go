package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/mailcopy"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// Options are what an Agent is made of.
type Options struct {
	Params configs.Local
	// Domains are those of the transport: names, and ".example.org" for all below one.
	Domains []string
	// Hostname is main.hostname, Delimiters main.recipient_delimiter, Export
	// main.export_environment.
	Hostname, Delimiters string
	Export               []string
	// Dir is where relative names of files begin.
	Dir string
	// Tables opens lookup tables.
	Tables *tables.Set
	Submit envelope.Submitter
	// Agent is that of a transport which mail is handed to, nil when there is none of the name. It is asked
	// when there is mail.
	Agent func(transport string) agent.Agent
	FS    vfs.FS
	Log   *msglog.Log
	Clock clock.Clock
	// Find knows the users of this host; nil is hostuser.Find.
	Find func(name string) (hostuser.User, error)
}

// Agent delivers to the users of this host. Safe for concurrent use.
type Agent struct {
	o         Options
	templates templates
	aliases   []aliasMap
	known     tables.Maps
	commands  tables.Maps
	// mailboxes and fallbacks are the tables of mailbox_transport_maps and fallback_transport_maps.
	mailboxes, fallbacks tables.Maps
	privs                hostuser.User
	// mayRun and mayWrite are where commands and files may stand.
	mayRun, mayWrite source

	mu sync.Mutex
	// done are the steps of messages of which another step has to be tried again, by
	// delivery ID, so that a command does not get the message at each attempt, nor the members of a list.
	done map[string]memory
}

// maxRemembered bounds done. It is no parameter: what is forgotten is delivered again, as by
// Postfix, which remembers nothing.
const maxRemembered = 10_000

// aliasMap is a table of aliases, with the file whose owner's rights its commands have, "" for one
// that has no file.
type aliasMap struct {
	table tables.Table
	file  string
}

// Open makes an Agent. The error says what in the configuration is wrong.
func Open(ctx context.Context, o Options) (*Agent, error) {
	if o.Find == nil {
		o.Find = hostuser.Find
	}
	a := &Agent{o: o, done: map[string]memory{}, mayRun: sourcesOf(o.Params.AllowCommands), mayWrite: sourcesOf(o.Params.AllowFiles)}
	var err error
	if a.templates, err = parseTemplates(o.Params); err != nil {
		return nil, err
	}
	if a.privs, err = hostuser.Parse(o.Params.DefaultPrivs); err == nil {
		err = a.privs.NotRoot()
	}
	if err != nil {
		return nil, err
	}
	for _, name := range o.Params.AliasTables() {
		t, err := o.Tables.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		if tables.QuotesKey(t) {
			return nil, fmt.Errorf("%s: %w", name, errQuotes)
		}
		file, _ := strings.CutPrefix(name, "aliases:")
		if file == name {
			file = ""
		}
		a.aliases = append(a.aliases, aliasMap{t, file})
	}
	if a.known, _, err = o.Tables.OpenAll(ctx, o.Params.RecipientTables()); err != nil {
		return nil, err
	}
	for _, maps := range []struct {
		to    *tables.Maps
		names []string
	}{{&a.commands, o.Params.MailboxCommandMaps}, {&a.mailboxes, o.Params.MailboxTransportMaps}, {&a.fallbacks, o.Params.FallbackTransportMaps}} {
		if *maps.to, _, err = o.Tables.OpenAll(ctx, maps.names); err != nil {
			return nil, err
		}
		if err := refuseQuotes(*maps.to); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// refuseQuotes is an error for tables whose texts hold parts of a key.
func refuseQuotes(maps tables.Maps) error {
	for _, t := range maps {
		if tables.QuotesKey(t) {
			return fmt.Errorf("%s: %w", tables.Name(t), errQuotes)
		}
	}
	return nil
}

// safely looks a name up in tables that may say what is done with mail.
func safely(ctx context.Context, maps tables.Maps, name string) (text string, found bool, failed *dsn.Error) {
	if err := refuseQuotes(maps); err != nil { // since a file was read again
		return "", false, unavailable(err)
	}
	text, err := maps.Lookup(ctx, name)
	switch {
	case err == nil:
		return text, true, nil
	case directory.OutcomeOf(err) != directory.NotFound:
		return "", false, unavailable(err)
	}
	return "", false, nil
}

// Here says that this agent delivers for a domain.
func (a *Agent) Here(domain string) bool {
	for _, d := range a.o.Domains {
		if strings.EqualFold(d, domain) || strings.HasPrefix(d, ".") && strings.HasSuffix(domain, strings.ToLower(d)) {
			return true
		}
	}
	return false
}

// Refused says why nobody here has the address, nil when somebody may: it is
// local.recipient_maps, asked before the mail is taken.
func (a *Agent) Refused(ctx context.Context, to addr.Address) *dsn.Error {
	if len(a.o.Params.RecipientMaps) == 0 {
		return nil
	}
	to = to.Fold()
	base, _ := a.split(to.Local)
	for _, name := range []string{to.Local, base} {
		if a.o.Params.UsersKnown() {
			switch _, err := a.o.Find(name); {
			case err == nil:
				return nil
			case !errors.Is(err, hostuser.ErrNoUser):
				return unavailable(err)
			}
		}
		if a.o.Params.AliasesKnown() {
			if _, _, found, err := a.alias(ctx, name); err != nil || found {
				return err
			}
		}
		for _, key := range []string{name + "@" + to.Domain, name} {
			switch _, err := a.known.Lookup(ctx, key); {
			case err == nil:
				return nil
			case directory.OutcomeOf(err) != directory.NotFound:
				return unavailable(err)
			}
		}
	}
	return dsn.New(dsn.BadDestMailbox, "User unknown in local recipient table")
}

func unavailable(cause error) *dsn.Error {
	return dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", cause)
}

// errQuotes: an alias may be a command, and its words must not be those of whoever writes the address.
var errQuotes = errors.New("a pattern has $1, or the like, in its text: the writer of an address would choose commands and files")

// alias looks a name up in the tables of aliases. owner is whose rights commands and files have, with
// "" for a table without a file.
func (a *Agent) alias(ctx context.Context, name string) (text, file string, found bool, failed *dsn.Error) {
	for _, m := range a.aliases {
		if tables.QuotesKey(m.table) { // since its file was read again
			return "", "", false, dsn.Wrap(dsn.MailSystem, "alias database unavailable", errQuotes)
		}
		text, err := m.table.Lookup(ctx, name)
		switch {
		case err == nil:
			return text, m.file, true, nil
		case directory.OutcomeOf(err) != directory.NotFound:
			return "", "", false, dsn.Wrap(dsn.MailSystem, "alias database unavailable", err)
		}
	}
	return "", "", false, nil
}

// ownerOf is who owns a file, as whom its commands run; nil is root, or no file.
func (a *Agent) ownerOf(file string) (*hostuser.User, error) {
	if file == "" {
		return nil, nil
	}
	info, err := a.o.FS.Stat(file)
	if err != nil {
		return nil, err
	}
	return ownerOfInfo(info)
}

// Deliver implements agent.Agent, one recipient after the other.
func (a *Agent) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	delivered, err := mailcopy.Delivered(r.Content)
	for _, i := range r.Recipients {
		if ctx.Err() != nil {
			return
		}
		result := agent.Result{Recipient: i, Relay: "local", Effect: queue.EffectFinal}
		if err != nil {
			result.Err = dsn.From(err)
		} else {
			d := &delivery{a: a, r: r, to: r.Envelope.Recipients[i], delivered: delivered, seen: map[key]bool{}}
			got := d.run(ctx)
			result.Action, result.Text, result.Err = got.action, got.text, got.err
			result.Relay, result.Status, result.Connected = cmp.Or(got.relay, "local"), got.status, got.connected
		}
		if result.Err != nil && result.Err.Temporary() && ctx.Err() != nil {
			return // the shutdown is the reason
		}
		report(result)
	}
}

// earlier is what became of a step at an earlier attempt, if that is over.
func (a *Agent) earlier(id string, step key) (failed *dsn.Error, over bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	failed, over = a.done[id][step]
	return failed, over
}

// remember keeps what became of a step for the next attempt.
func (a *Agent) remember(id string, step key, failed *dsn.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done[id] == nil {
		if len(a.done) >= maxRemembered {
			clear(a.done)
		}
		a.done[id] = memory{}
	}
	a.done[id][step] = failed
}

// forget is called when nothing of a delivery is left.
func (a *Agent) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.done, id)
}
