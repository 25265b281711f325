package configs

// SMTPDTLS are the parameters of [smtpd] about TLS and the certificates of clients.
type SMTPDTLS struct {
	TLSLevel          TLSLevel
	TLSLogLevel       int
	TLSReceivedHeader bool
	AskCert           bool
	RequireCert       bool
	CertDepth         int
	CAFile            string
	CAPath            string
	CertDigest        TLSDigest
	RelayClientCerts  []string
}

// smtpdTLSLevels are the levels that a server can have.
func smtpdTLSLevels() []word[TLSLevel] {
	return []word[TLSLevel]{{"none", TLSNone}, {"may", TLSMay}, {"encrypt", TLSEncrypt}}
}

func (c *SMTPDTLS) params() []Param {
	return []Param{
		enum("smtpd.tls_security_level", &c.TLSLevel, TLSMay, smtpdTLSLevels(),
			"TLS on smtpd.listen: none offers no STARTTLS; may offers it; encrypt refuses everything before it with 530 5.7.0, which a host that takes mail from everybody must not. The ports for users offer it always, where there is no log-in without.").Also("smtpd_tls_security_level", "smtpd_use_tls"),
		Int("smtpd.tls_loglevel", &c.TLSLogLevel, 0, 0, 2,
			"1 has a line in the log for each TLS handshake of a client: version, cipher, and what its certificate is worth (Anonymous, Untrusted, Trusted). 2 has the certificate's names and fingerprints, too. The metric toastmaster_tls_sessions_total counts them in any case.").Also("smtpd_tls_loglevel"),
		Bool("smtpd.tls_received_header", &c.TLSReceivedHeader, true,
			"Received fields have the TLS of the client's connection and, where clients are asked for certificates, whose the client's was and whether it was verified. Postfix's default is off.").Also("smtpd_tls_received_header"),
		Bool("smtpd.tls_ask_ccert", &c.AskCert, false,
			"Clients are asked for a certificate, on all ports. Any is taken, and also none; what one is good for is said by permit_tls_clientcerts, permit_tls_all_clientcerts and check_ccert_access (docs/restrictions.md).").Also("smtpd_tls_ask_ccert"),
		Bool("smtpd.tls_req_ccert", &c.RequireCert, false,
			"Clients need a certificate that an authority of smtpd.tls_ca_file or smtpd.tls_ca_path vouches for: after the handshake others get 421 4.7.1. On smtpd.listen it counts with smtpd.tls_security_level encrypt alone. It asks for certificates as smtpd.tls_ask_ccert does.").Also("smtpd_tls_req_ccert"),
		Int("smtpd.tls_ccert_verifydepth", &c.CertDepth, 9, 0, 100,
			"How long the chain of a client's certificate may be: so many authorities, and one more, may stand between it and the root, as Debian's Postfix counts.").Also("smtpd_tls_ccert_verifydepth"),
		String("smtpd.tls_ca_file", &c.CAFile, "", "a file, or empty", nil,
			"A file in PEM with the authorities that vouch for clients. Their names are told to clients, which choose a certificate by them. Those of the system vouch for nobody. It is read again at a reload.").Also("smtpd_tls_CAfile"),
		String("smtpd.tls_ca_path", &c.CAPath, "", "a folder, or empty", nil,
			"A folder with further ones, one or several in each file, whose names are not told to clients. The links of c_rehash are not needed. It is read again at a reload.").Also("smtpd_tls_CApath"),
		enum("smtpd.tls_fingerprint_digest", &c.CertDigest, SHA256, append(tlsDigests(), word[TLSDigest]{"md5", MD5}),
			"What the fingerprints of clients' certificates and public keys are made with.").Also("smtpd_tls_fingerprint_digest"),
		Tables("smtpd.relay_clientcerts", &c.RelayClientCerts, nil,
			"Tables with fingerprints of the certificates, or public keys, of clients that permit_tls_clientcerts permits, as AB:CD:...; what stands behind them does not matter.").Also("relay_clientcerts"),
	}
}

// Asks says that clients are asked for certificates.
func (c *SMTPDTLS) Asks() bool { return c.AskCert || c.RequireCert }
