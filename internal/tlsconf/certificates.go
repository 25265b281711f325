package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// Pair names the files of one certificate, in PEM. Cert holds the chain, the
// server's own first. Key may be the same file.
type Pair struct{ Cert, Key string }

// Options say which certificates there are.
type Options struct {
	// Pairs has at least one; the first is the default.
	Pairs []Pair
	// MinVersion is tls.VersionTLS12 (or zero) or higher.
	MinVersion uint16
	// Check is how often the files are looked at for changes. Zero looks at
	// them only in Reload.
	Check time.Duration
	Log   *msglog.Log
	Clock clock.Clock
}

// Certificates are the certificates of an instance. Safe for concurrent use.
type Certificates struct {
	options Options
	config  *tls.Config
	current atomic.Pointer[set]
	// next is when to look at the files again, in Unix nanoseconds.
	next atomic.Int64

	reloading sync.Mutex
}

// set is what was read at one time.
type set struct {
	names  map[string][]*tls.Certificate
	first  *tls.Certificate
	all    []*tls.Certificate
	stamps []stamp
	// expired were that when they were read.
	expired []expired
}

type expired struct {
	file  string
	since time.Time
}

func (c *Certificates) noteExpired(s *set) {
	for _, e := range s.expired {
		c.options.Log.Warn("certificate has expired", "file", e.file, "since", e.since)
	}
}

// stamp tells whether a file is still the same one.
type stamp struct {
	name string
	info fs.FileInfo
}

// Load reads the certificates.
func Load(o Options) (*Certificates, error) {
	if len(o.Pairs) == 0 {
		return nil, errors.New("no certificate is configured")
	}
	c := &Certificates{options: o}
	c.config = &tls.Config{
		MinVersion:     max(o.MinVersion, tls.VersionTLS12),
		GetCertificate: c.get,
	}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Config is for servers, shared and not to be changed; Clone it for ALPN. It
// keeps working across reloads.
func (c *Certificates) Config() *tls.Config { return c.config }

// Leaves are the certificates in use, without their chains, in the order of
// the options. They are not to be changed.
func (c *Certificates) Leaves() []*x509.Certificate {
	all := c.current.Load().all
	leaves := make([]*x509.Certificate, len(all))
	for i, cert := range all {
		leaves[i] = cert.Leaf
	}
	return leaves
}

// Use makes log the one that is told of what happens from now on. It is for
// certificates that had to be read before the log could be opened, and must be
// called before the first handshake.
func (c *Certificates) Use(log *msglog.Log) {
	c.options.Log = log
	c.noteExpired(c.current.Load())
}

// Reload reads all files again. After an error the certificates are the ones
// from before.
func (c *Certificates) Reload() error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	return c.reload()
}

func (c *Certificates) reload() error {
	now := c.options.Clock.Now()
	c.next.Store(now.Add(c.options.Check).UnixNano())
	s := &set{names: map[string][]*tls.Certificate{}}
	for _, p := range c.options.Pairs {
		// The stamp is older than what is read, so a change in between is
		// found the next time.
		if err := s.stamp(p); err != nil {
			return err
		}
		cert, err := loadPair(p)
		if err != nil {
			return err
		}
		s.add(cert)
		if now.After(cert.Leaf.NotAfter) {
			s.expired = append(s.expired, expired{p.Cert, cert.Leaf.NotAfter})
		}
	}
	c.noteExpired(s)
	c.current.Store(s)
	return nil
}

func (s *set) stamp(p Pair) error {
	for _, name := range []string{p.Cert, p.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
		s.stamps = append(s.stamps, stamp{name, info})
	}
	return nil
}

func loadPair(p Pair) (*tls.Certificate, error) {
	chain, err := os.ReadFile(p.Cert)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(p.Key)
	if err != nil {
		return nil, fmt.Errorf("key of a certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", p.Cert, p.Key, err)
	}
	return &cert, nil
}

// add files a certificate under its names.
func (s *set) add(cert *tls.Certificate) {
	if s.first == nil {
		s.first = cert
	}
	s.all = append(s.all, cert)
	names := cert.Leaf.DNSNames
	if len(names) == 0 && cert.Leaf.Subject.CommonName != "" {
		names = []string{cert.Leaf.Subject.CommonName}
	}
	for _, n := range names {
		n = fold(n)
		s.names[n] = append(s.names[n], cert)
	}
}

// fold makes a host name comparable.
func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// get is the GetCertificate of the configuration.
func (c *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.refresh()
	s := c.current.Load()
	name := fold(hello.ServerName)
	candidates := s.names[name]
	if len(candidates) == 0 {
		if _, parent, ok := strings.Cut(name, "."); ok {
			candidates = s.names["*."+parent]
		}
	}
	if len(candidates) == 0 {
		return s.first, nil
	}
	for _, cert := range candidates {
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return candidates[0], nil
}

// refresh reads the files again when it is time and they have changed. One
// handshake looks; the others go on with what there is.
func (c *Certificates) refresh() {
	if c.options.Check <= 0 {
		return
	}
	now := c.options.Clock.Now()
	if now.UnixNano() < c.next.Load() || !c.reloading.TryLock() {
		return
	}
	defer c.reloading.Unlock()
	c.next.Store(now.Add(c.options.Check).UnixNano())
	if !c.current.Load().changed() {
		return
	}
	if err := c.reload(); err != nil {
		c.options.Log.Error("certificates were not reloaded", "cause", err.Error())
		return
	}
	c.options.Log.Info("certificates reloaded")
}

// changed looks at the files.
func (s *set) changed() bool {
	for _, f := range s.stamps {
		info, err := os.Stat(f.name)
		if err != nil || !os.SameFile(info, f.info) || info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime()) {
			return true
		}
	}
	return false
}
