package smtp

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// tlsPolicy is what TLS has to be on a connection (Postfix smtp_tls_policy_maps).
type tlsPolicy struct {
	level configs.TLSLevel
	// match are names, or fingerprints at that level, that the certificate may have.
	match    []string
	versions configs.TLSVersions
	// serverName is what SNI says; empty is the host's name.
	serverName string
}

// tlsRules make policies. Safe for concurrent use; the tables are shared.
type tlsRules struct {
	maps   tables.Maps
	digest configs.TLSDigest
	// levels are the policies of destinations that no table names, by their level.
	levels map[configs.TLSLevel]tlsPolicy
	normal configs.TLSLevel
}

func newTLSRules(ctx context.Context, c configs.SMTP, set *tables.Set) (tlsRules, error) {
	r := tlsRules{digest: c.TLSDigest, levels: map[configs.TLSLevel]tlsPolicy{}, normal: c.TLSLevel}
	optional, err := configs.ParseTLSProtocols(c.TLSProtocols)
	if err != nil {
		return r, fmt.Errorf("smtp.tls_protocols: %w", err)
	}
	mandatory, err := configs.ParseTLSProtocols(c.TLSMandatory)
	if err != nil {
		return r, fmt.Errorf("smtp.tls_mandatory_protocols: %w", err)
	}
	var prints []string
	for _, f := range c.TLSFingerprints {
		p, err := configs.Fingerprint(f)
		if err != nil {
			return r, fmt.Errorf("smtp.tls_fingerprint_cert_match: %w", err)
		}
		prints = append(prints, p)
	}
	if c.TLSLevel == configs.TLSFingerprint && len(prints) == 0 {
		return r, errors.New("smtp.tls_level fingerprint needs smtp.tls_fingerprint_cert_match")
	}
	r.levels[configs.TLSNone] = tlsPolicy{}
	r.levels[configs.TLSMay] = tlsPolicy{versions: optional}
	r.levels[configs.TLSEncrypt] = tlsPolicy{versions: mandatory}
	r.levels[configs.TLSFingerprint] = tlsPolicy{versions: mandatory, match: prints}
	r.levels[configs.TLSVerify] = tlsPolicy{versions: mandatory, match: c.TLSVerifyMatch}
	r.levels[configs.TLSSecure] = tlsPolicy{versions: mandatory, match: c.TLSSecureMatch}
	for level, p := range r.levels {
		p.serverName = c.TLSName
		r.levels[level] = p
	}
	r.maps, err = openMaps(ctx, set, "smtp.tls_policy_maps", c.TLSPolicyMaps)
	return r, err
}

// openMaps opens the tables of a parameter.
func openMaps(ctx context.Context, set *tables.Set, param string, names []string) (tables.Maps, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if set == nil {
		return nil, fmt.Errorf("%s: there are no tables", param)
	}
	maps, item, err := set.OpenAll(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", param, names[item], err)
	}
	return maps, nil
}

// of is the policy of a level for which no table says more.
func (r *tlsRules) of(level configs.TLSLevel) tlsPolicy {
	p := r.levels[level]
	p.level = level
	return p
}

// find is the policy for a nexthop, which is looked up as it is written; one that is a
// domain by its parents, too, with a dot before them.
func (r *tlsRules) find(ctx context.Context, nexthop string) (tlsPolicy, *dsn.Error) {
	if len(r.maps) == 0 {
		return r.of(r.normal), nil
	}
	key := strings.ToLower(nexthop)
	_, err := addr.ParseDomain(key)
	domain := err == nil
	for key != "" {
		text, err := r.maps.Lookup(ctx, key)
		switch directory.OutcomeOf(err) {
		case directory.Found:
			p, err := r.parse(text)
			if err != nil {
				return p, tlsMisconfigured(fmt.Errorf("smtp.tls_policy_maps: key %q: %w", key, err))
			}
			return p, nil
		case directory.NotFound:
		default:
			return tlsPolicy{}, tlsMisconfigured(err)
		}
		dot := strings.IndexByte(strings.TrimPrefix(key, "."), '.')
		if !domain || dot < 0 {
			break
		}
		key = strings.TrimPrefix(key, ".")[dot:]
	}
	return r.of(r.normal), nil
}

// tlsMisconfigured waits: mail must neither go back nor go in clear for a mistake in a table.
func tlsMisconfigured(err error) *dsn.Error {
	return dsn.Wrap(tlsFailed, "Client TLS configuration problem", err)
}

// parse reads "level name=value ...".
func (r *tlsRules) parse(text string) (tlsPolicy, error) {
	words := strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \t\r\n,", c) })
	if len(words) == 0 {
		return tlsPolicy{}, errors.New("the policy has no level")
	}
	level, err := configs.ParseTLSLevel(words[0])
	if err != nil {
		return tlsPolicy{}, err
	}
	p := r.of(level)
	own := false
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		if value == "" {
			return p, fmt.Errorf("%q has no value", w)
		}
		if level == configs.TLSNone {
			return p, fmt.Errorf("%s is for a level that has TLS", name)
		}
		switch strings.ToLower(name) {
		case "match":
			matches, err := certMatches(level, value)
			if err != nil {
				return p, err
			}
			if !own {
				p.match, own = nil, true
			}
			p.match = append(slices.Clip(p.match), matches...)
		case "protocols":
			if p.versions, err = configs.ParseTLSProtocols(value); err != nil {
				return p, err
			}
		case "servername":
			if _, err := addr.ParseDomain(value); err != nil && value != "hostname" && value != "nexthop" {
				return p, fmt.Errorf("servername=%s is no name", value)
			}
			p.serverName = value
		case "ciphers":
			// All that the library speaks is of the grades medium and high.
			if value != "medium" && value != "high" {
				return p, fmt.Errorf("ciphers=%s: there are medium and high", value)
			}
		case "connection_reuse":
		default:
			return p, fmt.Errorf("%q is not known", name)
		}
	}
	if level == configs.TLSFingerprint && len(p.match) == 0 {
		return p, errors.New("the level fingerprint needs match=")
	}
	return p, nil
}

func certMatches(level configs.TLSLevel, value string) ([]string, error) {
	switch level {
	case configs.TLSFingerprint:
		var out []string
		for f := range strings.SplitSeq(value, "|") {
			p, err := configs.Fingerprint(f)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
		return out, nil
	case configs.TLSVerify, configs.TLSSecure:
		out := strings.FieldsFunc(strings.ToLower(value), func(c rune) bool { return c == ':' || c == '|' })
		for _, m := range out {
			if strings.Trim(m, ".") == "" {
				return nil, fmt.Errorf("match=%s names no domain", value)
			}
		}
		return out, nil
	}
	return nil, errors.New("match= is for the levels fingerprint, verify and secure")
}

// config is that of a connection to t on the way to the nexthop n.
func (p tlsPolicy) config(a *Agent, t target, n configs.Nexthop) *tls.Config {
	c := a.tls.Clone()
	c.ServerName = t.host
	switch p.serverName {
	case "", "hostname":
	case "nexthop":
		c.ServerName = n.Host
	default:
		c.ServerName = p.serverName
	}
	c.MinVersion, c.MaxVersion = p.versions.Min, p.versions.Max
	// What the library would verify is the name of SNI; which names may stand in the
	// certificate is the policy's affair.
	c.InsecureSkipVerify = true
	switch p.level {
	case configs.TLSFingerprint:
		c.VerifyConnection = func(s tls.ConnectionState) error { return p.verifyFingerprint(a.rules.digest, s) }
	case configs.TLSVerify, configs.TLSSecure:
		c.VerifyConnection = func(s tls.ConnectionState) error { return p.verifyName(c.RootCAs, t.host, n.Host, s) }
	}
	return c
}

func (p tlsPolicy) verifyFingerprint(digest configs.TLSDigest, s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server has shown no certificate")
	}
	leaf := s.PeerCertificates[0]
	for _, der := range [][]byte{leaf.Raw, leaf.RawSubjectPublicKeyInfo} {
		if slices.Contains(p.match, fingerprintOf(digest, der)) {
			return nil
		}
	}
	return fmt.Errorf("the certificate has the fingerprint %X", fingerprintOf(digest, leaf.Raw))
}

func fingerprintOf(digest configs.TLSDigest, der []byte) string {
	switch digest {
	case configs.SHA512:
		sum := sha512.Sum512(der)
		return string(sum[:])
	case configs.SHA1:
		sum := sha1.Sum(der)
		return string(sum[:])
	}
	sum := sha256.Sum256(der)
	return string(sum[:])
}

func (p tlsPolicy) verifyName(roots *x509.CertPool, host, nexthop string, s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server has shown no certificate")
	}
	leaf := s.PeerCertificates[0]
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(o); err != nil {
		return err
	}
	for _, m := range p.match {
		switch m {
		case "hostname":
			m = host
		case "nexthop":
			m = nexthop
		case "dot-nexthop":
			m = "." + nexthop
		}
		if nameMatches(leaf, m) {
			return nil
		}
	}
	return fmt.Errorf("the certificate is for %q, and none of that is %s", leaf.DNSNames, strings.Join(p.match, ", "))
}

// nameMatches says that a certificate has the name m, or one below m when it begins
// with a dot.
func nameMatches(leaf *x509.Certificate, m string) bool {
	if !strings.HasPrefix(m, ".") {
		return m != "" && leaf.VerifyHostname(m) == nil
	}
	return len(m) > 1 && slices.ContainsFunc(leaf.DNSNames, func(name string) bool {
		return len(name) > len(m) && strings.EqualFold(name[len(name)-len(m):], m)
	})
}

// baseTLS is the TLS configuration of all connections: authorities and our certificate.
func baseTLS(c configs.SMTP, base *tls.Config) (*tls.Config, error) {
	if base == nil {
		base = &tls.Config{}
	}
	base = base.Clone()
	if c.TLSCAFile != "" {
		pem, err := os.ReadFile(c.TLSCAFile)
		if err != nil {
			return nil, fmt.Errorf("smtp.tls_ca_file: %w", err)
		}
		base.RootCAs = x509.NewCertPool()
		if !base.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("smtp.tls_ca_file: %s has no certificate in PEM", c.TLSCAFile)
		}
	}
	if c.TLSCertificate != "" {
		cert, key := configs.CertificateFiles(c.TLSCertificate)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("smtp.tls_certificate: %w", err)
		}
		base.Certificates = []tls.Certificate{pair}
	}
	return base, nil
}
