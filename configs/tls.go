package configs

import (
	"crypto/tls"
	"errors"
	"strings"
	"time"
)

// TLS is the section [tls].
type TLS struct {
	Certificates     []string
	MinVersion       uint16
	Check            time.Duration
	HandshakeTimeout time.Duration
}

func (c *TLS) params() []Param {
	return []Param{
		List("tls.certificates", &c.Certificates, []string{"tls/cert.pem,tls/key.pem"}, `"certificate-file,key-file"`, checkCertificate,
			"Files in PEM: a certificate with its chain, and its key. The client's server name (SNI) chooses among several; the first is the default. Changed files are read again.").Also("smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_key_file", "ssl_cert", "ssl_key", "ssl", "tls_server_sni_maps"),
		enum("tls.min_version", &c.MinVersion, tls.VersionTLS12, tlsVersions(),
			"The lowest version of TLS that is spoken.").Also("smtpd_tls_protocols", "smtpd_tls_mandatory_protocols", "ssl_min_protocol", "tlsproxy_tls_protocols"),
		Duration("tls.check", &c.Check, time.Minute, 0, 24*time.Hour,
			"How often the files are looked at for changes. 0 is at SIGHUP only."),
		Duration("tls.handshake_timeout", &c.HandshakeTimeout, 30*time.Second, time.Second, 10*time.Minute,
			"The longest that a TLS handshake may take.").Also("smtpd_starttls_timeout"),
	}
}

// CertificateFiles takes an entry of Certificates apart.
func CertificateFiles(entry string) (cert, key string) {
	cert, key, _ = strings.Cut(entry, ",")
	return strings.TrimSpace(cert), strings.TrimSpace(key)
}

func checkCertificate(s string) error {
	cert, key := CertificateFiles(s)
	if cert == "" || key == "" {
		return errors.New("two files are needed")
	}
	return nil
}
