package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"toastmaster/directory"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/tlsconf"
)

// certificate is the client's.
func (t *Transaction) certificate() tlsconf.Peer {
	if t.Cert == nil {
		return tlsconf.Peer{}
	}
	return t.Cert()
}

// permitAllClientCerts is permit_tls_all_clientcerts: whoever has a certificate that an authority vouches for, or one that
// permit_tls_clientcerts permits.
func permitAllClientCerts(s Stage, e *Env) Check {
	listed := permitClientCerts(s, e)
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if t.certificate().Trusted {
			return Decision{Action: Permit}
		}
		return listed.Check(ctx, t)
	})
}

// permitClientCerts is permit_tls_clientcerts: whose certificate, or key, has its fingerprint in smtpd.relay_clientcerts. Nobody needs to
// vouch for it.
func permitClientCerts(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		cert := t.certificate()
		if !cert.Present || len(e.RelayClientCerts) == 0 {
			return Decision{}
		}
		for _, print := range []string{cert.Fingerprint, cert.PubkeyFingerprint} {
			_, err := e.RelayClientCerts.Lookup(ctx, print)
			switch directory.OutcomeOf(err) {
			case directory.Found:
				return Decision{Action: Permit}
			case directory.NotFound:
			default:
				return e.cannotSay(ctx, t, clientCert, source{e.RelayClientCerts.String(), print}, err)
			}
		}
		return Decision{}
	})
}

// checkCertAccess is check_ccert_access: a table, or one with the order in which it is asked,
// "{ type:table, { search_order = pubkey_fingerprint } }".
func checkCertAccess(s Stage, e *Env, arg string) (Check, error) {
	order := []string{certFingerprint, pubkeyFingerprint}
	if inner, ok := strings.CutPrefix(arg, "{"); ok {
		var err error
		if arg, order, err = searchOrder(inner); err != nil {
			return nil, err
		}
	}
	return checkAccess(clientCert, func(_ context.Context, _ *Env, t *Transaction, ask func(keys.Walk) bool) {
		cert := t.certificate()
		if !cert.Present {
			return
		}
		for _, what := range order {
			print := cert.Fingerprint
			if what == pubkeyFingerprint {
				print = cert.PubkeyFingerprint
			}
			if ask(keys.Walk{{Text: print}}) {
				return
			}
		}
	})(s, e, arg)
}

// The words of search_order.
const certFingerprint, pubkeyFingerprint = "cert_fingerprint", "pubkey_fingerprint"

// searchOrder reads what stands behind the first brace.
func searchOrder(text string) (table string, order []string, err error) {
	text, ok := strings.CutSuffix(strings.TrimSpace(text), "}")
	if !ok {
		return "", nil, errors.New("a { is not closed")
	}
	blank := func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }
	text = strings.TrimFunc(text, blank)
	end := len(text)
	depth := 0
	for i, r := range text { // a table may have braces of its own
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		}
		if depth == 0 && blank(r) {
			end = i
			break
		}
	}
	table, text = text[:end], strings.TrimLeftFunc(text[end:], blank)
	setting, ok := strings.CutPrefix(text, "{")
	setting, closed := strings.CutSuffix(setting, "}")
	name, value, _ := strings.Cut(setting, "=")
	if !ok || !closed || strings.TrimSpace(name) != "search_order" {
		return "", nil, errors.New("behind the table stands { search_order = cert_fingerprint, pubkey_fingerprint }, or nothing")
	}
	for word := range strings.FieldsFuncSeq(value, blank) {
		if !slices.Contains([]string{certFingerprint, pubkeyFingerprint}, word) {
			return "", nil, fmt.Errorf("search_order: %q is none of %s, %s", word, certFingerprint, pubkeyFingerprint)
		}
		order = append(order, word)
	}
	if len(order) == 0 {
		return "", nil, errors.New("search_order is empty")
	}
	return table, order, nil
}
