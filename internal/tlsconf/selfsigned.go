package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// selfSignedYears is long, because nobody renews such a certificate: it is for
// tests, for one machine, and until a real one is there.
const selfSignedYears = 10

// SelfSigned makes a key (ECDSA P-256, mode 0600) and a certificate for
// hostname, localhost and the loopback addresses. Files that exist are never
// replaced: the error is fs.ErrExist then. Missing folders are made.
func SelfSigned(p Pair, hostname string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	names := []string{"localhost"}
	if hostname != "" && hostname != "localhost" {
		names = []string{hostname, "localhost"}
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		// A client whose clock is a little late shall believe it, too.
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(selfSignedYears, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// The key of a certificate that is there already is never replaced, also
	// not when it is missing: that is for people to look at.
	if _, err := os.Lstat(p.Cert); err == nil {
		return &fs.PathError{Op: "create", Path: p.Cert, Err: fs.ErrExist}
	}
	for _, name := range []string{p.Key, p.Cert} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
	}
	if err := writeNew(p.Key, "PRIVATE KEY", secret, 0o600); err != nil {
		return err
	}
	return writeNew(p.Cert, "CERTIFICATE", cert, 0o644)
}

// writeNew writes a PEM file that is not there yet.
func writeNew(name, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	return errors.Join(err, f.Sync(), f.Close())
}
