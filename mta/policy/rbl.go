package policy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/dns"
	"toastmaster/internal/dnslist"
	"toastmaster/internal/dsn"
	"toastmaster/internal/service"
)

// listed asks a list about a name. An answer that is missing is logged: with a list that
// does not answer mail goes on, as with Postfix.
func (e *Env) listed(ctx context.Context, t *Transaction, l dnslist.List, name string) dns.Outcome {
	if e.DNS == nil {
		return dns.NoAnswer
	}
	question := name + "." + l.Domain
	return t.once(question, func() dns.Outcome {
		found, err := e.DNS.A(ctx, question)
		switch o := dns.OutcomeOf(err); {
		case o == dns.NoAnswer:
			e.Log.Warn("DNS list does not answer", "service", e.logService(), "session", t.Session, "list", l.Domain, "name", name, "cause", err)
			return o
		case o == dns.Found && !l.Counts(found.Records):
			if strange := l.Strange(found.Records); strange != nil {
				e.Log.Warn("DNS list lists nobody", "service", e.logService(), "session", t.Session, "list", l.Domain, "name", name, "cause", strange)
			}
			return dns.NoRecord
		default:
			return o
		}
	})
}

// listText is what a list has as text about a name, maxReason octets of it.
func (e *Env) listText(ctx context.Context, t *Transaction, name string) (text string) {
	if e.DNS == nil {
		return ""
	}
	t.once("TXT "+name, func() dns.Outcome {
		texts, err := e.DNS.TXT(ctx, name)
		text = strings.Join(texts.Records, " / ")
		text = strings.ToValidUTF8(text[:min(len(text), maxReason)], "?")
		return dns.OutcomeOf(err)
	})
	return text
}

// subject is what is looked up in a list: query in its domain; what and class name it in
// the reply. Without a query there is nothing to look up.
type subject struct{ query, what, class string }

// about the client, by its address.
func clientSubject(_ context.Context, _ *Env, t *Transaction) subject {
	if !t.Client.IsValid() || t.Client == service.UnknownClient() {
		return subject{}
	}
	return subject{dnslist.Reversed(t.Client), t.clientAddress(), "Client host"}
}

func clientNameSubject(ctx context.Context, e *Env, t *Transaction) subject {
	return nameSubject(e.Peer(ctx, t).Name, "Client host")
}

func reverseSubject(ctx context.Context, e *Env, t *Transaction) subject {
	return nameSubject(e.Peer(ctx, t).Reverse, "Unverified Client host")
}

func heloSubject(_ context.Context, _ *Env, t *Transaction) subject {
	return nameSubject(t.Helo, "Helo command")
}

func nameSubject(name, class string) subject {
	if name == Unknown || name == "" || strings.HasPrefix(name, "[") {
		return subject{}
	}
	return subject{strings.ToLower(strings.TrimSuffix(name, ".")), name, class}
}

func senderSubject(_ context.Context, _ *Env, t *Transaction) subject {
	return domainSubject(t.Sender.Domain, t.Sender.String(), "Sender address")
}

func recipientSubject(_ context.Context, _ *Env, t *Transaction) subject {
	return domainSubject(t.Recipient.Domain, t.Recipient.String(), "Recipient address")
}

func domainSubject(domain, what, class string) subject {
	if domain == "" || strings.HasPrefix(domain, "[") {
		return subject{}
	}
	return subject{domain, what, class}
}

// rejectListed is reject_rbl_client and the family of reject_rhsbl_client.
func rejectListed(of func(context.Context, *Env, *Transaction) subject) argued {
	return func(_ Stage, e *Env, arg string) (Check, error) {
		l, err := dnslist.Parse(arg)
		if err != nil {
			return nil, err
		}
		return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
			s := of(ctx, e, t)
			if s.query == "" || e.listed(ctx, t, l, s.query) != dns.Found {
				return Decision{}
			}
			return refuse(e.rblReply(ctx, t, l, s))
		}), nil
	}
}

// permitListed is permit_dnswl_client and permit_rhswl_client. They permit no relaying; a list
// that does not answer defers who would be refused.
func permitListed(of func(context.Context, *Env, *Transaction) subject) argued {
	return func(_ Stage, e *Env, arg string) (Check, error) {
		l, err := dnslist.Parse(arg)
		if err != nil {
			return nil, err
		}
		return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
			s := of(ctx, e, t)
			if s.query == "" {
				return Decision{}
			}
			if !t.Recipient.IsNull() {
				if d := e.destination(ctx, t); d.Verdict == directory.Undecided || !e.authorised(d) {
					return Decision{}
				}
			}
			switch e.listed(ctx, t, l, s.query) {
			case dns.Found:
				return Decision{Action: Permit}
			case dns.NoAnswer:
				return Decision{Action: DeferIfReject, Err: dsn.New(dsn.PolicyLater,
					"<"+s.what+">: "+s.class+" rejected: Temporary error in the lookup of a list of known senders").WithCode(450)}
			}
			return Decision{}
		}), nil
	}
}

// maxReason bounds what a list may write into a reply.
const maxReason = 400

// blocked is what the reply to who is in a list may tell.
type blocked struct {
	subject
	code   int
	domain string // of the list
	reason string // what the list has as text
	peer   *Peer
	t      *Transaction
}

// replyName is what $name of a reply stands for.
type replyName struct {
	name  string
	value func(b *blocked) string
}

// replyNames are those that default_rbl_reply may have.
func replyNames() []replyName {
	return []replyName{
		{"client", func(b *blocked) string { return b.peer.Name + "[" + b.t.clientAddress() + "]" }},
		{"client_address", func(b *blocked) string { return b.t.clientAddress() }},
		{"client_name", func(b *blocked) string { return b.peer.Name }},
		{"reverse_client_name", func(b *blocked) string { return b.peer.Reverse }},
		{"helo_name", func(b *blocked) string { return b.t.Helo }},
		{"rbl_class", func(b *blocked) string { return b.class }},
		{"rbl_code", func(b *blocked) string { return strconv.Itoa(b.code) }},
		{"rbl_domain", func(b *blocked) string { return b.domain }},
		{"rbl_reason", func(b *blocked) string { return b.reason }},
		{"rbl_what", func(b *blocked) string { return b.what }},
		{"recipient", func(b *blocked) string { return orNull(b.t.Recipient.String()) }},
		{"recipient_domain", func(b *blocked) string { return b.t.Recipient.Domain }},
		{"recipient_name", func(b *blocked) string { return orNull(b.t.Recipient.Local) }},
		{"sender", func(b *blocked) string { return orNull(b.t.Sender.String()) }},
		{"sender_domain", func(b *blocked) string { return b.t.Sender.Domain }},
		{"sender_name", func(b *blocked) string { return orNull(b.t.Sender.Local) }},
	}
}

// named finds a name of a reply.
func (b *blocked) named(name string) (value string, ok bool) {
	all := replyNames()
	i := slices.IndexFunc(all, func(n replyName) bool { return n.name == name })
	if i < 0 {
		return "", false
	}
	return all[i].value(b), true
}

// rblReply makes the reply of a template (default_rbl_reply).
func (e *Env) rblReply(ctx context.Context, t *Transaction, l dnslist.List, s subject) *dsn.Error {
	template := e.RBLReply
	if e.RBLReplies != nil {
		if text, ok := e.RBLReplies(ctx, l.Text); ok {
			template = text
		}
	}
	b := &blocked{subject: s, code: e.Codes.RBL, domain: l.Domain, peer: e.Peer(ctx, t), t: t}
	if strings.Contains(template, "rbl_reason") {
		b.reason = e.listText(ctx, t, s.query+"."+l.Domain)
	}
	code, status, text, err := parseReply(expand(template, e.harmless(b.named)))
	if err != nil {
		e.Log.Error("reply of a DNS list", "service", e.logService(), "session", t.Session, "list", l.Domain, "cause", err)
		return dsn.New(dsn.Misconfigured, "Server configuration error")
	}
	if status == 0 {
		status = dsn.Make(code/100, 7, 1)
	}
	return coded(code, status, text)
}

func orNull(s string) string {
	if s == "" {
		return "<>"
	}
	return s
}

// harmless are values as a reply may have them.
func (e *Env) harmless(value func(string) (string, bool)) func(string) (string, bool) {
	if e.Harmless == nil {
		return value
	}
	return func(name string) (string, bool) {
		text, ok := value(name)
		return e.Harmless(text), ok
	}
}

// parseReply reads "code [status] text". status is 0 when there is none.
func parseReply(reply string) (code int, status dsn.Status, text string, err error) {
	digits, rest, _ := strings.Cut(strings.TrimSpace(reply), " ")
	code, err = strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || code < 400 || code > 599 {
		return 0, 0, "", fmt.Errorf("reply %q does not begin with a code 4nn or 5nn", reply)
	}
	status, text, ok := dsn.Parse(strings.TrimSpace(rest))
	if !ok {
		status, text = 0, strings.TrimSpace(rest)
	}
	return code, status, text, nil
}

// checkTemplate finds what a template of a reply cannot have. It is expanded with a text for
// every name, and with none, so that both ends of each condition are seen.
func checkTemplate(template string) error {
	var names []string
	for _, n := range replyNames() {
		names = append(names, n.name)
	}
	unknown := ""
	as := func(value string) string {
		return expand(template, func(name string) (string, bool) {
			switch {
			case name == "rbl_code":
				return "554", true
			case name != "" && !slices.Contains(names, name):
				unknown = name
			}
			return value, true
		})
	}
	text := as("x")
	if as(""); unknown != "" {
		return fmt.Errorf("there is no $%s (there are %s)", unknown, strings.Join(names, ", "))
	}
	_, _, _, err := parseReply(text)
	return err
}
