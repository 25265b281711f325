package main

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
	"toastmaster/mailstore/lmtpd"
	"toastmaster/mta/smtp"
	"toastmaster/mta/smtpd"
)

// account is the store's idea of a mailbox of the directory.
func account(m directory.Mailbox) mailstore.Account {
	return mailstore.Account{Address: m.Address, Home: m.Home, QuotaBytes: m.QuotaBytes, QuotaMessages: m.QuotaMessages}
}

func (i *instance) smtpd() *smtpd.Daemon {
	o := smtpd.Options{
		Params: i.config.SMTPD, Hostname: i.config.Main.Hostname, Trusted: i.trusted,
		Directory: i.directory, Authenticate: i.auth.Authenticate,
		Usage: func(ctx context.Context, m directory.Mailbox) (int64, int64, error) {
			u, err := i.mail.Usage(ctx, account(m))
			return u.Bytes, u.Messages, err
		},
		Submitter: i.cleanup(), Spool: i.queue.Spool(), TLS: i.tls, HandshakeTimeout: i.config.TLS.HandshakeTimeout,
		Log: i.log, Clock: i.clock,
	}
	if i.config.SMTPD.ResolveTimeout > 0 {
		o.Resolver = smtp.NewResolver(i.config.SMTP.Resolver)
	}
	return smtpd.New(o)
}

// smtpBusy is for a client over the limits (RFC 5321 section 3.1).
const smtpBusy = "421 4.7.0 Too many connections, try again later\r\n"

func openSMTPD(i *instance) (service.Service, error) {
	c, d := i.config.SMTPD, i.smtpd()
	return i.server(serverOptions{
		name: "smtpd", plain: c.Listen, handler: d.MX(), busy: smtpBusy,
		connections: c.MaxConnections, perClient: c.MaxClient, drain: c.DrainTimeout,
	})
}

func openSubmission(i *instance) (service.Service, error) {
	c, d := i.config.SMTPD, i.smtpd()
	return i.server(serverOptions{
		name: "submission", plain: c.SubmissionListen, handler: d.Submission(), busy: smtpBusy,
		connections: c.MaxConnections, perClient: c.MaxClient, drain: c.DrainTimeout,
	})
}

func openSubmissions(i *instance) (service.Service, error) {
	c, d := i.config.SMTPD, i.smtpd()
	return i.server(serverOptions{
		name: "submissions", tls: c.SubmissionsListen, handler: d.Submissions(), busy: smtpBusy,
		connections: c.MaxConnections, perClient: c.MaxClient, drain: c.DrainTimeout,
	})
}

func openLMTPD(i *instance) (service.Service, error) {
	c := i.config.LMTPD
	d := lmtpd.New(lmtpd.Options{
		Params: c, Hostname: i.config.Main.Hostname, Directory: i.directory, Store: i.mail,
		TLS: i.tls, HandshakeTimeout: i.config.TLS.HandshakeTimeout, Log: i.log, Clock: i.clock,
	})
	return i.server(serverOptions{
		name: "lmtpd", plain: c.Listen, handler: d.Handler(), busy: smtpBusy,
		connections: c.MaxConnections, drain: c.DrainTimeout,
	})
}
