package policy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"toastmaster/configs"
	"toastmaster/internal/envelope"
	"toastmaster/internal/policyclient"
)

// Session is what a policy service hears of the connection, and no restriction asks.
type Session struct {
	// ClientPort and Server are zero for a unix socket.
	ClientPort uint16
	Server     netip.AddrPort
	// ESMTP says that the client has said EHLO. Received is how many octets of the message have come, on the
	// wire.
	ESMTP    bool
	Received int64
	// Mechanism is how the user logged in, Stressed whether the service has more clients than it
	// likes. They may be nil.
	Mechanism func() string
	Stressed  func() bool
}

// policyService is check_policy_service.
type policyService struct {
	e      *Env
	topic  Stage
	server string
	client *policyclient.Client
	// usual is what is done when the service does not answer, and context goes along with each
	// request.
	usual, context string
}

func checkPolicyService(s Stage, e *Env, arg string) (Check, error) {
	server, p, err := serviceSettings(arg, e.Service)
	if err != nil {
		return nil, err
	}
	path, isPath := strings.CutPrefix(server, "unix:")
	if isPath && e.Path != nil {
		server = "unix:" + e.Path(path)
	}
	make := policyclient.New
	if e.Services != nil {
		make = e.Services.Client
	}
	client, err := make(policyclient.Options{
		Endpoint: server, Timeout: p.Timeout, MaxIdle: p.MaxIdle, MaxTTL: p.MaxTTL, RequestLimit: p.RequestLimit,
		TryLimit: p.TryLimit, RetryDelay: p.RetryDelay, MaxConnections: p.MaxConnections, Clock: e.Clock,
	})
	if err != nil {
		return nil, err
	}
	if _, err := ParseResult(p.DefaultAction); err != nil {
		return nil, fmt.Errorf("default_action: %w", err)
	}
	return &policyService{e: e, topic: s, server: server, client: client, usual: p.DefaultAction, context: p.Context}, nil
}

// serviceSettings reads "inet:host:port", or "{ inet:host:port, timeout=10s, { default_action = DUNNO } }": settings of this
// service in the place of smtpd.policy_service_*.
func serviceSettings(arg string, p configs.PolicyService) (string, configs.PolicyService, error) {
	inner, ok := strings.CutPrefix(arg, "{")
	if !ok {
		return arg, p, nil
	}
	inner, ok = strings.CutSuffix(inner, "}")
	if !ok {
		return "", p, errors.New("a { is not closed")
	}
	server := ""
	for inner = strings.TrimLeft(inner, ", \t"); inner != ""; inner = strings.TrimLeft(inner, ", \t") {
		item, braced := "", strings.HasPrefix(inner, "{")
		if braced {
			var closed bool
			if item, inner, closed = strings.Cut(inner[1:], "}"); !closed {
				return "", p, errors.New("a { is not closed")
			}
		} else {
			end := strings.IndexAny(inner, ", \t")
			if end < 0 {
				end = len(inner)
			}
			item, inner = inner[:end], inner[end:]
		}
		if server == "" {
			server = item
			continue
		}
		name, value, _ := strings.Cut(item, "=")
		if err := setService(&p, strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return "", p, fmt.Errorf("%q: %w", strings.TrimSpace(item), err)
		}
	}
	return server, p, nil
}

// setService sets what smtpd.policy_service_NAME is for others.
func setService(p *configs.PolicyService, name, value string) error {
	number := func(to *int, least int) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least {
			return fmt.Errorf("no number of at least %d", least)
		}
		*to = n
		return nil
	}
	span := func(to *time.Duration) error {
		if value != "" && isDigit(value[len(value)-1]) {
			value += "s" // Postfix's unit
		}
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return errors.New("no time, such as 10s")
		}
		*to = d
		return nil
	}
	switch name {
	case "timeout":
		return span(&p.Timeout)
	case "max_idle":
		return span(&p.MaxIdle)
	case "max_ttl":
		return span(&p.MaxTTL)
	case "retry_delay":
		return span(&p.RetryDelay)
	case "request_limit":
		return number(&p.RequestLimit, 0)
	case "try_limit":
		return number(&p.TryLimit, 1)
	case "default_action":
		p.DefaultAction = value
	case "policy_context":
		p.Context = value
	default:
		return errors.New("there is default_action, max_idle, max_ttl, policy_context, request_limit, retry_delay, timeout, try_limit")
	}
	return nil
}

// Check asks the service, and obeys. A service that does not answer is smtpd.policy_service_default_action.
func (s *policyService) Check(ctx context.Context, t *Transaction) Decision {
	from := source{s.server, "policy query"}
	action, err := s.client.Ask(ctx, s.request(ctx, t))
	if err == nil && !utf8.ValidString(action) {
		err = errors.New("the action is no UTF-8 text")
	}
	if err != nil {
		s.e.Log.Warn("policy service does not answer", "service", s.e.logService(), "session", t.Session, "server", s.server, "action", s.usual, "cause", err)
		action = s.usual
	}
	return s.e.obey(ctx, t, s.topic, from, action)
}

// protocolState is a stage as Postfix names it.
func protocolState(s Stage, esmtp bool) string {
	switch s {
	case Connect:
		return "CONNECT"
	case Helo:
		if esmtp {
			return "EHLO"
		}
		return "HELO"
	case Mail:
		return "MAIL"
	case Rcpt:
		return "RCPT"
	case Data:
		return "DATA"
	case EndOfData:
		return "END-OF-MESSAGE"
	}
	return "ETRN"
}

// request has all attributes of Postfix 3.7.
func (s *policyService) request(ctx context.Context, t *Transaction) []policyclient.Attribute {
	port := func(n uint16) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(int(n))
	}
	protocol := "SMTP"
	if t.Conn.ESMTP && t.Stage != Helo { // the first EHLO comes before ESMTP
		protocol = "ESMTP"
	}
	peer := s.e.Peer(ctx, t)
	server, login, mechanism, stress := "", "", "", ""
	if t.Conn.Server.IsValid() {
		server = t.Conn.Server.Addr().Unmap().String()
	}
	if t.Authenticated() {
		if login = t.User.Address.String(); t.Conn.Mechanism != nil {
			mechanism = t.Conn.Mechanism()
		}
	}
	if t.Conn.Stressed != nil && t.Conn.Stressed() {
		stress = "yes"
	}
	recipients, size := 0, t.Size
	if t.Stage == Data || t.Stage == EndOfData {
		recipients = t.Recipients
	}
	if t.Stage == EndOfData {
		size = t.Conn.Received
	}
	version, cipher, bits := Encryption(t)
	cert, subject, issuer := t.certificate(), "", ""
	if cert.Trusted {
		subject, issuer = certName(cert.Subject), certName(cert.Issuer)
	}
	return []policyclient.Attribute{
		{Name: "request", Value: "smtpd_access_policy"},
		{Name: "protocol_state", Value: protocolState(t.Stage, t.Conn.ESMTP)},
		{Name: "protocol_name", Value: protocol},
		{Name: "client_address", Value: t.clientAddress()},
		{Name: "client_name", Value: peer.Name},
		{Name: "client_port", Value: port(t.Conn.ClientPort)},
		{Name: "reverse_client_name", Value: peer.Reverse},
		{Name: "server_address", Value: server},
		{Name: "server_port", Value: port(t.Conn.Server.Port())},
		{Name: "helo_name", Value: t.Helo},
		{Name: "sender", Value: t.Sender.String()},
		{Name: "recipient", Value: t.Recipient.String()},
		{Name: "recipient_count", Value: strconv.Itoa(recipients)},
		{Name: "queue_id"},
		{Name: "instance", Value: t.Session + "." + strconv.Itoa(t.serial)},
		{Name: "size", Value: strconv.FormatInt(size, 10)},
		{Name: "etrn_domain", Value: t.Etrn},
		{Name: "stress", Value: stress},
		{Name: "sasl_method", Value: mechanism},
		{Name: "sasl_username", Value: login},
		{Name: "sasl_sender"},
		{Name: "ccert_subject", Value: subject}, {Name: "ccert_issuer", Value: issuer},
		{Name: "ccert_fingerprint", Value: cert.Fingerprint}, {Name: "ccert_pubkey_fingerprint", Value: cert.PubkeyFingerprint},
		{Name: "encryption_protocol", Value: version},
		{Name: "encryption_cipher", Value: cipher},
		{Name: "encryption_keysize", Value: strconv.Itoa(bits)},
		{Name: "policy_context", Value: s.context},
	}
}

// certName is a name of a certificate as Postfix tells it: in xtext, but for "=".
func certName(s string) string { return strings.ReplaceAll(envelope.EncodeXtext(s), "+3D", "=") }

// Encryption is the connection's, as OpenSSL names it.
func Encryption(t *Transaction) (version, cipher string, bits int) {
	if t.TLS == nil || t.TLS() == nil {
		return "", "", 0
	}
	state := t.TLS()
	version = strings.ReplaceAll(strings.ReplaceAll(tls.VersionName(state.Version), " ", "v"), "TLSv1.0", "TLSv1")
	cipher = tls.CipherSuiteName(state.CipherSuite)
	bits = 128
	if strings.Contains(cipher, "256_") || strings.Contains(cipher, "CHACHA20") {
		bits = 256
	}
	if state.Version < tls.VersionTLS13 {
		cipher = strings.NewReplacer("TLS_", "", "_WITH_", "-", "AES_", "AES", "_POLY1305_SHA256", "-POLY1305", "CBC_", "", "_", "-").Replace(cipher)
	}
	return version, cipher, bits
}
