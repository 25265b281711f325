package smtpd

import (
	"context"
	"crypto/tls"

	"toastmaster/configs"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/tlsconf"
	"toastmaster/mta/policy"
)

// TLS is for listeners that make the handshake: Options.TLS, which asks for certificates where it should; nil without TLS.
func (d *Daemon) TLS() *tls.Config {
	if d.o.Clients == nil {
		return d.o.TLS
	}
	return d.o.Clients.Config(d.o.TLS)
}

// certificate is the client's, and what it is worth. It is found once for each handshake, and again for other authorities.
func (s *session) certificate() tlsconf.Peer {
	state := s.c.TLS()
	if state == nil || s.d.o.Clients == nil {
		return tlsconf.Peer{}
	}
	if s.certOf != state || !s.d.o.Clients.Current(s.cert) {
		s.cert, s.certOf = s.d.o.Clients.Peer(state), state
	}
	return s.cert
}

// MayTLS refuses a client that has begun TLS too often.
func (s *session) MayTLS() *dsn.Error {
	most := s.d.o.Params.HandshakeRate
	if most == 0 || s.client.IsZero() {
		return nil
	}
	if s.d.o.Counter.Rate(anvil.Handshake, s.client) > most {
		return tooManyHandshakes(s.service(), s.c.ClientAddr(), 0).WithCode(454)
	}
	return nil
}

// Secured logs and counts a handshake, and has the last word about the client.
func (s *session) Secured(context.Context) *dsn.Error {
	state, cert := s.c.TLS(), s.certificate()
	version, cipher, bits := policy.Encryption(&s.known)
	event := msglog.Encrypted{
		Service: s.d.o.LogService, Session: s.c.ID(), Client: service.ClientText(s.c.ClientAddr()), Trust: cert.Trust(),
		Version: version, Cipher: cipher, Bits: bits, Resumed: state.DidResume,
		Subject: cert.Subject, Issuer: cert.Issuer, Fingerprint: cert.Fingerprint, PubkeyFingerprint: cert.PubkeyFingerprint,
		Details: s.d.o.Params.TLSLogLevel > 1,
	}
	if s.d.o.Params.TLSLogLevel > 0 {
		s.d.o.Log.Event(event)
	} else {
		s.d.o.Log.Count(event)
	}
	if !state.DidResume && !s.client.IsZero() {
		most := s.d.o.Params.HandshakeRate
		if n := s.d.o.Counter.Add(anvil.Handshake, s.client, 1); most > 0 && n > most {
			return tooManyHandshakes(s.service(), s.c.ClientAddr(), n)
		}
	}
	return s.credible(cert)
}

// credible wants a certificate that somebody vouches for, where it is required.
func (s *session) credible(cert tlsconf.Peer) *dsn.Error {
	p := &s.d.o.Params
	switch {
	case !p.RequireCert || cert.Trusted || s.kind == mx && p.TLSLevel != configs.TLSEncrypt:
		return nil
	case cert.Present:
		return dsn.Wrap(dsn.PolicyLater, "Error: Client certificate not trusted", cert.Cause).WithCode(421)
	}
	return dsn.New(dsn.PolicyLater, "Error: No client certificate presented").WithCode(421)
}

// told is what Received says of the certificate, nil when none was asked for.
func (s *session) told() *envelope.Certificate {
	cert := s.certificate()
	if !cert.Asked {
		return nil
	}
	return &envelope.Certificate{Present: cert.Present, Verified: cert.Trusted, Subject: cert.Subject, Issuer: cert.Issuer}
}
