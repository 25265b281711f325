package tlsconf

import (
	"crypto"
	_ "crypto/md5" // a hash of ClientOptions.Digest
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/internal/clock"
)

// ClientOptions say what is asked of clients, and whom to believe.
type ClientOptions struct {
	// Ask asks for a certificate. One that nobody vouches for is taken as well: what it is worth is Peer's to
	// say, and what it may do the caller's.
	Ask bool
	// CAFile and CAPath have the authorities that are believed, as PEM: a file, whose names are told to the client, and a folder
	// of files. "" is none.
	CAFile, CAPath string
	// Depth is how many authorities, less one, may stand between a certificate and a root, as OpenSSL counts for Postfix.
	Depth int
	// Digest makes the fingerprints.
	Digest crypto.Hash
	Clock  clock.Clock
}

// Clients knows what the certificates of clients are worth. Safe for concurrent use.
type Clients struct {
	o       ClientOptions
	current atomic.Pointer[authorities]

	loading sync.Mutex
	// base and asking are those of Config.
	configuring  sync.Mutex
	base, asking *tls.Config
}

// authorities are those that are believed, as they were read at one time. named are those whose names are told.
type authorities struct {
	pool, named *x509.CertPool
}

// LoadClients reads the authorities.
func LoadClients(o ClientOptions) (*Clients, error) {
	c := &Clients{o: o}
	return c, c.Reload()
}

// Reload reads the authorities again. After an error they are the ones from before.
func (c *Clients) Reload() error {
	c.loading.Lock()
	defer c.loading.Unlock()
	a := &authorities{pool: x509.NewCertPool()}
	if c.o.CAFile != "" {
		a.named = x509.NewCertPool()
		found, err := readAuthorities(c.o.CAFile)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return fmt.Errorf("authorities: %s: there is no certificate in it (PEM)", c.o.CAFile)
		}
		for _, cert := range found {
			a.pool.AddCert(cert)
			a.named.AddCert(cert)
		}
	}
	if c.o.CAPath != "" {
		if err := a.folder(c.o.CAPath); err != nil {
			return err
		}
	}
	c.current.Store(a)
	return nil
}

// maxAuthorities bounds the files of a folder; it is no parameter, because a machine's own has 150.
const maxAuthorities = 10_000

// folder reads the files of a folder; what is no certificate is passed over, as OpenSSL does: names of hashes are
// not needed.
func (a *authorities) folder(path string) error {
	files, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("authorities: %w", err)
	}
	if len(files) > maxAuthorities {
		return fmt.Errorf("authorities: %s has more than %d files", path, maxAuthorities)
	}
	for _, f := range files {
		name := filepath.Join(path, f.Name())
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		found, err := readAuthorities(name)
		if err != nil {
			continue // a key, a list of what is revoked
		}
		for _, cert := range found {
			a.pool.AddCert(cert)
		}
	}
	return nil
}

func readAuthorities(name string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("authorities: %s: %w", name, err)
		}
		all = append(all, cert)
	}
	return all, nil
}

// Config is base for servers that ask for certificates, or base itself. It follows Reload, and is the same for the same base: its sessions can be
// resumed with all servers that have it.
func (c *Clients) Config(base *tls.Config) *tls.Config {
	if base == nil || !c.o.Ask {
		return base
	}
	c.configuring.Lock()
	defer c.configuring.Unlock()
	if c.base == base {
		return c.asking
	}
	asking := base.Clone()
	asking.ClientAuth = tls.RequestClientCert
	outer := asking.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := asking.Clone()
		now.ClientCAs = c.current.Load().named
		return now, nil
	}
	c.base, c.asking = base, outer
	return outer
}

// Peer is a client's certificate, and what it is worth. The zero Peer is that of a client without one.
type Peer struct {
	// Present says that there is one, Trusted that an authority vouches for it now. Asked says that one was asked for.
	Asked, Present, Trusted bool
	// Subject and Issuer are common names, the issuer's organization where it has none. Of one that is not trusted they are what
	// the client says.
	Subject, Issuer string
	// Fingerprint is that of the certificate, PubkeyFingerprint of its key: "AB:CD:...".
	Fingerprint, PubkeyFingerprint string
	// Cause is why it is not trusted.
	Cause error

	// by are the authorities that were asked.
	by *authorities
}

// Current says that p is what Peer would say, unless the authorities were read again.
func (c *Clients) Current(p Peer) bool { return p.by == c.current.Load() }

// Trust is what Postfix calls it. "Verified" is for servers with a name: a client has none that could be.
func (p Peer) Trust() string {
	switch {
	case !p.Present:
		return "Anonymous"
	case p.Trusted:
		return "Trusted"
	}
	return "Untrusted"
}

// Peer is what the certificate of a connection is worth by the authorities of now, also when its session was resumed.
func (c *Clients) Peer(state *tls.ConnectionState) Peer {
	p := Peer{Asked: c.o.Ask && state != nil, by: c.current.Load()}
	if !p.Asked || len(state.PeerCertificates) == 0 {
		return p
	}
	leaf := state.PeerCertificates[0]
	p.Present = true
	p.Subject, p.Issuer = leaf.Subject.CommonName, leaf.Issuer.CommonName
	if p.Issuer == "" && len(leaf.Issuer.Organization) > 0 {
		p.Issuer = leaf.Issuer.Organization[0]
	}
	p.Fingerprint = c.fingerprint(leaf.Raw)
	p.PubkeyFingerprint = c.fingerprint(leaf.RawSubjectPublicKeyInfo)
	p.Cause = c.verify(state.PeerCertificates, p.by)
	p.Trusted = p.Cause == nil
	return p
}

var errTooDeep = errors.New("x509: the chain of authorities is longer than smtpd.tls_ccert_verifydepth")

// verify says why a chain is not to be believed.
func (c *Clients) verify(chain []*x509.Certificate, by *authorities) error {
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{
		Roots: by.pool, Intermediates: between, CurrentTime: c.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	for _, found := range chains {
		if len(found)-3 <= c.o.Depth { // without the certificate and the root
			return nil
		}
	}
	return errTooDeep
}

func (c *Clients) now() time.Time {
	if c.o.Clock == nil {
		return time.Time{} // x509 takes the machine's
	}
	return c.o.Clock.Now()
}

// fingerprint is a digest as Postfix and OpenSSL write it.
func (c *Clients) fingerprint(der []byte) string {
	const hex = "0123456789ABCDEF"
	h := c.o.Digest.New()
	h.Write(der)
	sum := h.Sum(nil)
	out := make([]byte, 0, 3*len(sum))
	for i, b := range sum {
		if i > 0 {
			out = append(out, ':')
		}
		out = append(out, hex[b>>4], hex[b&15])
	}
	return string(out)
}
