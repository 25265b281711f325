package model

import "time"

// Session is one that is logged in.
type Session struct {
	Mailbox string    `json:"mailbox"`
	Service string    `json:"service" enum:"imapd,pop3d,smtpd"`
	ID      string    `json:"id" doc:"That of the log"`
	Client  string    `json:"client,omitempty" doc:"The peer's address"`
	TLS     bool      `json:"tls"`
	Since   time.Time `json:"since" doc:"When it logged in"`
}

// SessionList is the sessions that are logged in.
type SessionList struct {
	Items []Session `json:"items" nullable:"false"`
}

// Kick says which sessions are to end: those of a mailbox, or one.
type Kick struct {
	Mailbox string `json:"mailbox,omitempty"`
	ID      string `json:"id,omitempty"`
}

// Kicked counts the sessions that were ended.
type Kicked struct {
	Ended int `json:"ended"`
}

// LastLogin is the last log-in of a mailbox by a service.
type LastLogin struct {
	Service string    `json:"service"`
	Client  string    `json:"client,omitempty"`
	At      time.Time `json:"at"`
}

// MailboxStatus is a mailbox with what it holds and who uses it.
type MailboxStatus struct {
	Mailbox
	UsedBytes    int64       `json:"used_bytes"`
	UsedMessages int64       `json:"used_messages"`
	Logins       []LastLogin `json:"logins" nullable:"false" doc:"The last one of each service, newest first"`
	Sessions     []Session   `json:"sessions" nullable:"false"`
}
