package policy

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/dns"
	"toastmaster/internal/dnslist"
	"toastmaster/internal/dsn"
)

// listed asks a list about a name. An answer that is missing is logged: with a list that
// does not answer mail goes on, as with Postfix.
func (e *Env) listed(ctx context.Context, t *Transaction, l dnslist.List, name string) dns.Outcome {
	if e.DNS == nil {
		return dns.NoAnswer
	}
	found, err := e.DNS.A(ctx, name+"."+l.Domain)
	switch o := dns.OutcomeOf(err); {
	case o == dns.NoAnswer:
		e.Log.Warn("DNS list does not answer", "service", "smtpd", "session", t.Session, "list", l.Domain, "name", name, "cause", err)
		return o
	case o == dns.Found && !l.Counts(found.Records):
		return dns.NoRecord
	default:
		return o
	}
}

// subject is what is looked up in a list: query in its domain; what and class name it in
// the reply. Without a query there is nothing to look up.
type subject struct{ query, what, class string }

// about the client, by its address.
func clientSubject(_ context.Context, _ *Env, t *Transaction) subject {
	if !t.Client.IsValid() {
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

// rblReply makes the reply of a template (default_rbl_reply).
func (e *Env) rblReply(ctx context.Context, t *Transaction, l dnslist.List, s subject) *dsn.Error {
	template := e.RBLReply
	if e.RBLReplies != nil {
		if text, ok := e.RBLReplies(ctx, l.Text); ok {
			template = text
		}
	}
	reason := ""
	if strings.Contains(template, "rbl_reason") && e.DNS != nil {
		if texts, err := e.DNS.TXT(ctx, s.query+"."+l.Domain); err == nil {
			reason = strings.Join(texts.Records, " / ")
			reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "?")
		}
	}
	p := e.Peer(ctx, t)
	sender, recipient := t.Sender, t.Recipient
	text := expand(template, func(name string) (string, bool) {
		switch name {
		case "client":
			return e.clientText(ctx, t), true
		case "client_address":
			return t.clientAddress(), true
		case "client_name":
			return p.Name, true
		case "reverse_client_name":
			return p.Reverse, true
		case "helo_name":
			return t.Helo, true
		case "rbl_class":
			return s.class, true
		case "rbl_code":
			return strconv.Itoa(e.Codes.RBL), true
		case "rbl_domain":
			return l.Domain, true
		case "rbl_reason":
			return reason, true
		case "rbl_what":
			return s.what, true
		case "recipient":
			return orNull(recipient.String()), true
		case "recipient_domain":
			return recipient.Domain, true
		case "recipient_name":
			return orNull(recipient.Local), true
		case "sender":
			return orNull(sender.String()), true
		case "sender_domain":
			return sender.Domain, true
		case "sender_name":
			return orNull(sender.Local), true
		}
		return "", false
	})
	code, status, text, err := parseReply(text)
	if err != nil {
		e.Log.Error("reply of a DNS list", "service", "smtpd", "session", t.Session, "list", l.Domain, "cause", err)
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

// checkTemplate finds what a template of a reply cannot have.
func checkTemplate(template string) error {
	unknown := ""
	text := expand(template, func(name string) (string, bool) {
		if !strings.HasPrefix(name, "rbl_") && !strings.HasPrefix(name, "client") && !strings.HasPrefix(name, "reverse_client") &&
			!strings.HasPrefix(name, "helo") && !strings.HasPrefix(name, "sender") && !strings.HasPrefix(name, "recipient") {
			unknown = name
		}
		if name == "rbl_code" {
			return "554", true
		}
		return "x", true
	})
	if unknown != "" {
		return fmt.Errorf("there is no $%s (there are client, client_address, client_name, reverse_client_name, helo_name, rbl_class, rbl_code, rbl_domain, rbl_reason, rbl_what, recipient, recipient_domain, recipient_name, sender, sender_domain, sender_name)", unknown)
	}
	_, _, _, err := parseReply(text)
	return err
}
