package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/proc"
)

const (
	domain   = "example.test"
	password = "benchmark"
)

// address is the mailbox with number i, from 0.
func address(i int) string { return fmt.Sprintf("user%03d@%s", i, domain) }

func addresses(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = address(i)
	}
	return all
}

// side is one running server.
type side struct {
	name    string
	ours    bool
	users   int
	smtp    string
	lmtp    string
	imap    string
	pop3    string
	maildir func(address string) string
	// second starts another process on the same store; it ends with the first.
	second func(ctx context.Context) (*side, error)
	// chown gives a generated file to the user that the server reads mail as.
	chown   func(path string) error
	logTail func(n int) string
	memory  func() (proc.Memory, error)
	// usage is what the server has spent; nil for a peer, which has many processes.
	usage   func() (proc.Usage, error)
	restart func(ctx context.Context) error
	// Of ours alone: the folder, a stop with other parameters and more text in the
	// configuration from then on, and a start.
	data      string
	configure func(params map[string]string, more string) error
	launch    func(ctx context.Context) error
	stop      func()
	// next is what mail is handed on to, nil for nothing.
	next *nexthop
	// state is what a stage's prepare leaves for its measurements.
	state any
}

// starter runs a server in dir with the mailboxes address(0) ... address(users-1), or one that
// hands their mail on.
type starter func(ctx context.Context, l *lab, dir string, o setup) (*side, error)

// setup is what a server serves.
type setup struct {
	users int
	// next gets all mail; without it there are mailboxes.
	next *nexthop
}

type peerKind string

const (
	peerPostfix peerKind = "Postfix"
	peerDovecot peerKind = "Dovecot"
	peerNone    peerKind = "none"
)

func (k peerKind) starter() starter {
	if k == peerPostfix {
		return startPostfix
	}
	return startDovecot
}

// available says why the peer cannot be run here, nil if it can.
func (k peerKind) available() error {
	if os.Getuid() != 0 {
		return errors.New("only root can run it")
	}
	_, err := proc.Find(strings.ToLower(string(k)))
	return err
}

// otherName is what the side of lab.against is called.
const otherName = "the other"

func startOther(ctx context.Context, l *lab, dir string, o setup) (*side, error) {
	s, err := startProgram(ctx, l, l.against, dir, o)
	if err != nil {
		return nil, err
	}
	s.name, s.ours = otherName, false
	return s, nil
}

func startToastmaster(ctx context.Context, l *lab, dir string, o setup) (*side, error) {
	return startProgram(ctx, l, l.program, dir, o)
}

func startProgram(ctx context.Context, l *lab, program, dir string, o setup) (*side, error) {
	i, err := binary.Create(ctx, binary.Options{Program: program, Dir: dir, Hostname: "mx.example.test"})
	if err != nil {
		return nil, err
	}
	if o.next != nil {
		err = appendTo(i.ConfigFile(), o.next.table)
	}
	if err == nil {
		err = i.Start(ctx)
	}
	if err == nil && o.next == nil {
		if err = i.AddDomain(ctx, domain); err == nil {
			err = i.AddMailboxes(ctx, password, addresses(o.users)...)
		}
	}
	if err != nil {
		i.Close()
		return nil, err
	}
	first := &side{
		name: "Toastmaster", ours: true, users: o.users, smtp: i.SMTP(), lmtp: i.LMTP(), imap: i.IMAP(), pop3: i.POP3(), maildir: i.Maildir,
		chown:   func(string) error { return nil },
		logTail: i.LogTail,
		memory:  func() (proc.Memory, error) { return i.Process().Memory() },
		usage:   func() (proc.Usage, error) { return i.Process().Usage() },
		restart: func(ctx context.Context) error {
			if err := i.Stop(); err != nil {
				return err
			}
			return i.Start(ctx)
		},
		stop: i.Close, data: i.Data(), launch: i.Start,
	}
	first.configure = func(params map[string]string, more string) error { return reconfigure(i, params, more) }
	first.second = func(ctx context.Context) (*side, error) { return startSecond(ctx, program, first, i) }
	return first, nil
}

// reconfigure stops an instance and changes its configuration.
func reconfigure(i *binary.Instance, params map[string]string, more string) error {
	if err := i.Stop(); err != nil {
		return err
	}
	for name, value := range params {
		if err := i.SetParam(name, value); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(i.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(more)
	return errors.Join(err, f.Close())
}

func peerAccounts(users int) []peers.Account {
	all := make([]peers.Account, users)
	for i := range all {
		all[i] = peers.Account{Address: address(i), Password: password}
	}
	return all
}

func startPostfix(ctx context.Context, l *lab, dir string, o setup) (*side, error) {
	options := peers.PostfixOptions{Dir: dir, Hostname: "mx.example.test", Accounts: peerAccounts(o.users)}
	if o.next != nil {
		options.Accounts, options.Main = []peers.Account{{Address: "postmaster@here.test", Password: password}}, o.next.main
	}
	p, err := peers.StartPostfix(ctx, options)
	if err != nil {
		return nil, err
	}
	return &side{name: "Postfix", users: o.users, smtp: p.SMTP(), maildir: p.Maildir, logTail: p.LogTail, stop: p.Stop}, nil
}

func startDovecot(ctx context.Context, l *lab, dir string, o setup) (*side, error) {
	d, err := peers.StartDovecot(ctx, peers.DovecotOptions{Dir: dir, Accounts: peerAccounts(o.users)})
	if err != nil {
		return nil, err
	}
	uid, gid, err := d.MailUser()
	if err != nil {
		d.Stop()
		return nil, err
	}
	return &side{
		name: "Dovecot", users: o.users, lmtp: d.LMTP(), imap: d.IMAP(), pop3: d.POP3(), maildir: d.Maildir,
		chown:   func(path string) error { return os.Chown(path, uid, gid) },
		logTail: d.LogTail, stop: d.Stop,
	}, nil
}
