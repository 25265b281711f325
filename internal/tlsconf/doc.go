// Package tlsconf keeps the certificates of all services.
//
// # What it does
//
// [Load] reads pairs of certificate and key; [Certificates.Config] is one
// tls.Config for every server, which picks the certificate by the name that the
// client asks for (SNI). The first pair is the default, also for clients that
// ask for no name. Several pairs may have the same name with different kinds of
// keys: the first that the client can use is taken.
//
// Changed files are read again at [Certificates.Reload], and at the first
// handshake after Options.Check has passed; there is no goroutine. When the new
// files cannot be read, the old certificates stay and the log says why.
//
// [SelfSigned] makes the certificate of a fresh instance.
//
// [Clients] asks clients of a server for certificates ([Clients.Config]), and says what one is worth ([Clients.Peer]): who
// vouches for it, by the authorities that are believed now, and its fingerprints. A handshake never fails for want of trust, and a
// resumed session has the certificate of the first one, which is looked at again.
//
// # What it does not do
//
// It gets no certificates by ACME, and it is not for the client side.
//
// # Parameters
//
// Section [tls] of the configuration; smtpd.tls_* for clients' certificates. TLS 1.2 is the lowest version that can
// be asked for; the cipher suites are those that Go chooses.
//
// # Errors
//
// An error names the file. A key that does not belong to its certificate and
// a file without PEM are errors; an expired certificate is a warning in the
// log, because most clients of mail still connect.
package tlsconf
