package policy

import (
	"context"
	"net/netip"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// rejectNonFQDNSender is reject_non_fqdn_sender. Reports have no sender.
func rejectNonFQDNSender(Stage, *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		return mustBeFull(t, Mail, t.Sender.IsNull() || isFull(t.givenSender()))
	})
}

// rejectNonFQDNRecipient is reject_non_fqdn_recipient. Bare postmaster must be
// taken (RFC 5321 section 4.5.1).
func rejectNonFQDNRecipient(Stage, *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		return mustBeFull(t, Rcpt, isFull(t.given) || t.given.Domain == "" && isPostmaster(t.given))
	})
}

// mustBeFull refuses what a stage is about, unless it is as it must be.
func mustBeFull(t *Transaction, s Stage, is bool) Decision {
	if is {
		return Decision{}
	}
	return refuse(dsn.New(dsn.SyntaxError, t.about(s)+"need fully-qualified address").WithCode(504))
}

// ofHelo makes a restriction of what it says about a name in HELO. Before HELO there is none; an
// address literal is no name, and is refused when it is no address either.
func ofHelo(judge func(ctx context.Context, e *Env, t *Transaction) Decision) func(Stage, *Env) Check {
	return func(_ Stage, e *Env) Check {
		return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
			switch {
			case t.Helo == "":
				return Decision{}
			case !strings.HasPrefix(t.Helo, "["):
				return judge(ctx, e, t)
			}
			if _, err := addr.ParseDomain(t.Helo); err != nil {
				return refuse(dsn.New(dsn.SyntaxError, t.about(Helo)+"invalid ip address").WithCode(501))
			}
			return Decision{}
		})
	}
}

// nonFQDNHelo is reject_non_fqdn_helo_hostname: a name has a dot.
func nonFQDNHelo(_ context.Context, _ *Env, t *Transaction) Decision {
	if isHostname(t.Helo) && strings.Contains(strings.TrimSuffix(t.Helo, "."), ".") {
		return Decision{}
	}
	return refuse(dsn.New(dsn.SyntaxError, t.about(Helo)+"need fully-qualified hostname").WithCode(504))
}

// invalidHelo is reject_invalid_helo_hostname. An address without brackets is taken, as
// Postfix takes it.
func invalidHelo(_ context.Context, _ *Env, t *Transaction) Decision {
	if isHostname(t.Helo) || isAddress(t.Helo) {
		return Decision{}
	}
	return refuse(dsn.New(dsn.SyntaxError, t.about(Helo)+"Invalid name").WithCode(501))
}

// isFull says that an address has a domain with a dot, or an address literal.
func isFull(a addr.Address) bool {
	return strings.HasPrefix(a.Domain, "[") || strings.Contains(a.Domain, ".") && isHostname(a.Domain)
}

// isHostname says what Postfix's valid_hostname does: labels, of which one is no
// number. A name in HELO has A-labels (RFC 6531 section 3.7.1).
func isHostname(name string) bool {
	if strings.Trim(name, "0123456789.") == "" || strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return false
	}
	_, err := addr.ParseDomain(strings.ToLower(name))
	return err == nil
}

func isAddress(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Zone() == ""
}
