package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/addr"
)

// SMTP is the section [smtp].
type SMTP struct {
	Relayhost       string
	Port            int
	Resolver        []string
	DNSReplyFilter  []string
	Protocols       Network
	TLSLevel        TLSLevel
	PasswordFile    string
	ConnectTimeout  time.Duration
	HeloTimeout     time.Duration
	StartTLSTimeout time.Duration
	MailTimeout     time.Duration
	RcptTimeout     time.Duration
	DataInitTimeout time.Duration
	DataXferTimeout time.Duration
	DataDoneTimeout time.Duration
	RsetTimeout     time.Duration
	SendXForward    bool
	XForwardTimeout time.Duration
	DeliveryTimeout time.Duration
	AddressLimit    int
	SessionLimit    int
	CacheLimit      int
	CacheTime       time.Duration
	CacheReuseTime  time.Duration
	CacheReuseCount int
	OwnAddresses    []string
	PrivateNetworks []string
	ReplySizeLimit  int64
	HeloName        string
	BindAddress     string
	BindAddress6    string
	KeepEightBit    bool
	FallbackRelay   []string
	// LMTPPort is the Port of the agent lmtp.
	LMTPPort        int
	TLSPolicyMaps   []string
	TLSCAFile       string
	TLSDigest       TLSDigest
	TLSFingerprints []string
	TLSVerifyMatch  []string
	TLSSecureMatch  []string
	TLSProtocols    string
	TLSMandatory    string
	TLSCertificate  string
	DiscardKeywords []string
	SMTPWays
	SMTPDialogue
	OutgoingChecks
	// LMTP are those of the agent lmtp.
	LMTP OutgoingChecks
}

func (c *SMTP) params() []Param {
	const hour, minute, second = time.Hour, time.Minute, time.Second
	return slices.Concat([]Param{
		String("smtp.relayhost", &c.Relayhost, "", `"host", "host:port", "[host]", "[host]:port", or empty`, checkOptionalNexthop,
			"Where all mail for other systems goes. In brackets the host itself is used, without them its MX. Empty delivers directly.").Also("relayhost"),
		Int("smtp.port", &c.Port, 25, 1, 65535,
			"The port of other systems when the nexthop names none.").Also("smtp_tcp_port"),
		Tables("smtp.dns_reply_filter", &c.DNSReplyFilter, nil,
			"Tables that are asked for each MX, A and AAAA record on the way to another host, as \"name. ttl IN type value\", and have IGNORE for one that is left out: regexp and pcre tables, see docs/dns.md. Mail for which no record is left waits.").Also("smtp_dns_reply_filter", "lmtp_dns_reply_filter"),
		List("smtp.resolver", &c.Resolver, nil, `"address:port" of name servers`, checkAddrPort,
			"The name servers to ask. Empty uses those of the system.").Also("smtp_host_lookup", "smtp_dns_resolver_options"),
		enum("smtp.protocols", &c.Protocols, AnyNetwork, networks(),
			"Which address families to connect to (Postfix inet_protocols)."),
		enum("smtp.tls_level", &c.TLSLevel, TLSMay, tlsLevels(),
			"TLS to other systems: none; may encrypts when the peer can and goes on in clear otherwise; encrypt sends nothing in clear; fingerprint also wants one of certain certificates; verify one for the name of the host that DNS gave; secure one for the nexthop, which DNS has no say in.").Also("smtp_tls_security_level", "lmtp_tls_security_level", "smtp_use_tls", "smtp_enforce_tls"),
		String("smtp.password_file", &c.PasswordFile, "", "a file, or empty", nil,
			"A file with a line \"nexthop user:password\" for each relayhost that wants a log-in. It must not be readable by others. Passwords travel only over TLS.").Also("smtp_sasl_password_maps", "smtp_sasl_auth_enable"),
		Duration("smtp.connect_timeout", &c.ConnectTimeout, 30*second, second, hour, "How long connecting to one address may take."),
		Duration("smtp.helo_timeout", &c.HeloTimeout, 5*minute, second, hour, "How long the greeting, and the answer to EHLO, may take."),
		Duration("smtp.starttls_timeout", &c.StartTLSTimeout, 5*minute, second, hour, "How long STARTTLS and the handshake may take."),
		Duration("smtp.mail_timeout", &c.MailTimeout, 5*minute, second, hour, "How long the answer to MAIL may take."),
		Duration("smtp.rcpt_timeout", &c.RcptTimeout, 5*minute, second, hour, "How long the answer to each RCPT may take."),
		Duration("smtp.data_init_timeout", &c.DataInitTimeout, 2*minute, second, hour, "How long the answer to DATA may take."),
		Duration("smtp.data_xfer_timeout", &c.DataXferTimeout, 3*minute, second, hour, "How long the peer may take to accept the next piece (32 KiB) of the content."),
		Duration("smtp.data_done_timeout", &c.DataDoneTimeout, 10*minute, second, hour, "How long the answer to the final dot may take."),
		Bool("smtp.send_xforward_command", &c.SendXForward, false,
			"A host that wants to hear it (XFORWARD in its answer to EHLO), as a content filter, is told where each message comes from: name, address and HELO of the client, the ID in our queue (Postfix smtp_send_xforward_command)."),
		Duration("smtp.xforward_timeout", &c.XForwardTimeout, 5*time.Minute, second, hour, "How long the answer to XFORWARD may take (Postfix smtp_xforward_timeout)."),
		Duration("smtp.rset_timeout", &c.RsetTimeout, 20*second, second, hour, "How long the answer to RSET may take.").Also("smtp_quit_timeout"),
		Duration("smtp.delivery_timeout", &c.DeliveryTimeout, hour, second, day, "How long one delivery may take in all, over all hosts."),
		Int("smtp.address_limit", &c.AddressLimit, 5, 1, 100, "How many addresses of a destination one delivery may try (Postfix smtp_mx_address_limit)."),
		Int("smtp.session_limit", &c.SessionLimit, 2, 1, 100, "How many hosts that answered one delivery may try (Postfix smtp_mx_session_limit)."),
		Int("smtp.connection_cache_limit", &c.CacheLimit, 100, 0, 10_000, "How many idle connections are kept for the next message. Zero keeps none.").Also("smtp_connection_cache_on_demand", "smtp_connection_cache_destinations"),
		Duration("smtp.connection_cache_time", &c.CacheTime, 2*second, 0, hour, "How long an idle connection is kept.").Also("smtp_connection_cache_time_limit", "connection_cache_ttl_limit"),
		Duration("smtp.connection_reuse_time", &c.CacheReuseTime, 5*minute, 0, day, "How old a connection may be to be used again.").Also("smtp_connection_reuse_time_limit"),
		Int("smtp.connection_reuse_count", &c.CacheReuseCount, 100, 0, 100_000, "How many messages one connection may carry. Zero is no limit.").Also("smtp_connection_reuse_count_limit"),
		List("smtp.own_addresses", &c.OwnAddresses, nil, "IP addresses", checkIP,
			"Addresses under which this host is reached from outside (Postfix proxy_interfaces). Mail for one of them is mail for main.hostname, and mail whose MX is one of them loops (5.4.6). Loopback, 0.0.0.0, :: and the addresses of the machine's interfaces count without being named, the latter on the ports that smtpd listens on."),
		List("smtp.private_networks", &c.PrivateNetworks, nil, "networks in CIDR form", checkPrefix,
			"Networks that are not the Internet's in which the mail exchangers of other domains may lie, and which an address literal may name: of private (10.0.0.0/8, fd00::/8 ...), loopback, link-local and reserved addresses only those listed here are connected to. Mail for the others goes back at once, because whoever writes a DNS record would choose where in this network we connect to. smtp.relayhost needs no entry."),
		String("smtp.helo_name", &c.HeloName, "", "a host name, or empty", checkOptionalHostname,
			"The name in EHLO and HELO. Empty is main.hostname.").Also("smtp_helo_name"),
		String("smtp.bind_address", &c.BindAddress, "", "an IPv4 address, or empty", checkOptionalIPv4,
			"The address of this host that connections to IPv4 addresses come from. Empty leaves it to the system.").Also("smtp_bind_address"),
		String("smtp.bind_address6", &c.BindAddress6, "", "an IPv6 address, or empty", checkOptionalIPv6,
			"The same for connections to IPv6 addresses.").Also("smtp_bind_address6"),
		Bool("smtp.disable_mime_output_conversion", &c.KeepEightBit, false,
			"Send 8-bit content as it is to a peer without 8BITMIME. When it is off, it becomes quoted-printable, and what cannot be converted, because it is signed, goes back (5.6.3).").Also("disable_mime_output_conversion"),
		List("smtp.fallback_relay", &c.FallbackRelay, nil, `"host", "host:port", "[host]", "[host]:port"`, checkNexthop,
			"Where mail goes, in this order, when its destination is not found or no host of it can be reached. Not for domains that this host is a mail exchanger of, and not for recipients to whom a host has said no.").Also("smtp_fallback_relay", "fallback_relay"),
		Int("smtp.lmtp_tcp_port", &c.LMTPPort, 24, 1, 65535,
			"The port of hosts that the agent lmtp delivers to when the nexthop names none.").Also("lmtp_tcp_port"),
		Tables("smtp.tls_policy_maps", &c.TLSPolicyMaps, nil,
			"What TLS has to be for single destinations: \"example.org secure match=example.org:.example.org\". The key is the nexthop as it is written; for a domain also .parent. The text is a level of smtp.tls_level and, behind it, match=, protocols=, servername=, ciphers=.").Also("smtp_tls_policy_maps", "lmtp_tls_policy_maps"),
		String("smtp.tls_ca_file", &c.TLSCAFile, "", "a file, or empty", nil,
			"A file in PEM with the certification authorities that are trusted. Empty trusts those of the system.").Also("smtp_tls_CAfile", "lmtp_tls_CAfile", "smtp_tls_trust_anchor_file"),
		enum("smtp.tls_fingerprint_digest", &c.TLSDigest, SHA256, tlsDigests(),
			"What a fingerprint of a certificate, or of its public key, is made with.").Also("smtp_tls_fingerprint_digest", "lmtp_tls_fingerprint_digest"),
		List("smtp.tls_fingerprint_cert_match", &c.TLSFingerprints, nil, "fingerprints in hexadecimal", checkFingerprint,
			"The certificates, or public keys, that the level fingerprint takes where the policy has no match=.").Also("smtp_tls_fingerprint_cert_match", "lmtp_tls_fingerprint_cert_match"),
		List("smtp.tls_verify_cert_match", &c.TLSVerifyMatch, []string{"hostname"}, "hostname, nexthop, dot-nexthop, a name, or .domain", checkCertMatch,
			"Which names the certificate may have at the level verify: hostname is that of the MX, nexthop the destination, dot-nexthop all below it.").Also("smtp_tls_verify_cert_match", "lmtp_tls_verify_cert_match"),
		List("smtp.tls_secure_cert_match", &c.TLSSecureMatch, []string{"nexthop", "dot-nexthop"}, "nexthop, dot-nexthop, hostname, a name, or .domain", checkCertMatch,
			"The same at the level secure.").Also("smtp_tls_secure_cert_match", "lmtp_tls_secure_cert_match"),
		String("smtp.tls_protocols", &c.TLSProtocols, ">=TLSv1", protocolsForm, checkTLSProtocols,
			"The versions of TLS that are spoken at the level may, as Postfix writes them.").Also("smtp_tls_protocols", "lmtp_tls_protocols"),
		String("smtp.tls_mandatory_protocols", &c.TLSMandatory, ">=TLSv1.2", protocolsForm, checkTLSProtocols,
			"The same at the levels from encrypt on.").Also("smtp_tls_mandatory_protocols", "lmtp_tls_mandatory_protocols"),
		String("smtp.tls_certificate", &c.TLSCertificate, "", `"certificate-file,key-file", or empty`, checkOptionalCertificate,
			"A certificate that is shown to a host which asks for one. It is read at the start.").Also("smtp_tls_cert_file", "smtp_tls_key_file", "smtp_tls_chain_files", "smtp_tls_eccert_file", "smtp_tls_eckey_file", "lmtp_tls_cert_file"),
		List("smtp.discard_ehlo_keywords", &c.DiscardKeywords, nil, "names of extensions", checkExtension,
			"Extensions that are not used whatever a host offers: pipelining, size, 8bitmime, smtputf8, dsn, starttls, auth, chunking, xforward.").Also("smtp_discard_ehlo_keywords", "lmtp_discard_lhlo_keywords"),
		Size("smtp.reply_size_limit", &c.ReplySizeLimit, 64<<10, 4<<10, 16<<20, "How long one reply of a peer may be. The connection is dropped beyond it."),
	}, c.SMTPWays.params(), c.SMTPDialogue.params(), c.OutgoingChecks.params("smtp.", "smtp_", "the agent smtp"), c.LMTP.params("smtp.lmtp_", "lmtp_", "the agent lmtp"))
}

// Nexthop is where mail is handed to.
type Nexthop struct {
	// Host is a domain or host name, or an IP address.
	Host string
	// Port is 0 for smtp.port.
	Port int
	// Direct: the host itself and not its MX, because it was in brackets.
	Direct bool
	// Socket is a Unix socket of an LMTP server, in the place of all of these.
	Socket string
	// Chosen: a table of the operator has named it.
	Chosen bool
}

// ParseLMTPNexthop reads what the agent lmtp delivers to: "unix:/socket", "inet:host",
// "inet:host:port", or a host as ParseNexthop reads it. An MX is not looked up.
func ParseLMTPNexthop(s string) (Nexthop, error) {
	if path, is := strings.CutPrefix(s, "unix:"); is {
		if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) || len(path) > 107 {
			return Nexthop{}, fmt.Errorf("%q is no absolute path of a socket, of at most 107 octets", path)
		}
		return Nexthop{Socket: path, Direct: true}, nil
	}
	n, err := ParseNexthop(strings.TrimPrefix(s, "inet:"))
	n.Direct = true
	return n, err
}

func checkLMTPNexthop(s string) error {
	if s == "" {
		return nil
	}
	_, err := ParseLMTPNexthop(s)
	return err
}

// ParseNexthop reads "host", "host:port", "[host]", "[host]:port" and the
// address literals "[192.0.2.1]" and "[IPv6:2001:db8::1]", as Postfix writes
// them.
func ParseNexthop(s string) (Nexthop, error) {
	var n Nexthop
	host, port := s, ""
	if inner, ok := strings.CutPrefix(s, "["); ok {
		end := strings.IndexByte(inner, ']')
		if end < 0 {
			return n, errors.New("missing ]")
		}
		n.Direct = true
		host, port = inner[:end], inner[end+1:]
		if port != "" && port[0] != ':' {
			return n, errors.New("text behind ]")
		}
		port = strings.TrimPrefix(port, ":")
	} else if h, p, ok := strings.Cut(s, ":"); ok {
		host, port = h, p
	}
	if port != "" {
		p, err := strconv.ParseUint(port, 10, 16)
		switch {
		case err != nil && !n.Direct && strings.ContainsAny(port, "[."): // as in transport(5)
			return n, fmt.Errorf("%q begins with the name of a transport: write %q", s, port)
		case err != nil || p == 0:
			return n, fmt.Errorf("bad port %q, it is a number from 1 to 65535", port)
		}
		n.Port = int(p)
	}
	if n.Direct {
		literal := host
		if len(literal) > 5 && strings.EqualFold(literal[:5], "IPv6:") {
			literal = literal[5:]
		}
		if ip, err := netip.ParseAddr(literal); err == nil {
			if strings.ContainsFunc(ip.Zone(), notOfAnInterface) {
				return n, fmt.Errorf("%q names no network interface", ip.Zone())
			}
			n.Host = ip.String()
			return n, nil
		}
	}
	var err error
	n.Host, err = addr.ParseDomain(host)
	return n, err
}

// notOfAnInterface says that c stands in no name of a network interface that somebody gives
// one: the library takes any text behind "%" for a zone.
func notOfAnInterface(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_@", c)
}

func checkOptionalNexthop(s string) error {
	if s == "" {
		return nil
	}
	return checkNexthop(s)
}

func checkNexthop(s string) error {
	_, err := ParseNexthop(s)
	return err
}

func checkAddrPort(s string) error {
	_, err := netip.ParseAddrPort(s)
	return err
}

func checkIP(s string) error {
	_, err := netip.ParseAddr(s)
	return err
}
