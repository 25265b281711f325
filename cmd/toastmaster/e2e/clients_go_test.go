package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"crypto/tls"
)

// imapLogin opens an IMAP connection of go-imap's client.
func (b *box) imapLogin(t *testing.T, user, word string, o *imapclient.Options) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(b.IMAP(), o)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.Login(user, word).Wait())
	return c
}

// TestIdleIsToldOfADelivery: within a second, as the issue of a mail program's
// user would have it.
func TestIdleIsToldOfADelivery(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	exists := make(chan uint32, 100)
	c := b.imapLogin(t, alice, alicesWord, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				exists <- *d.NumMessages
			}
		},
	}})
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	idle, err := c.Idle()
	must(t, err)
	for n := uint32(1); n <= 5; n++ {
		if n%2 == 0 {
			b.sendOne(t, bob, alice, fmt.Sprint(n))
		} else {
			l, err := dialSMTP(b.LMTP(), "LHLO")
			must(t, err)
			_, err = l.send(bob, []string{alice}, "Subject: by lmtp\r\n\r\nText.\r\n")
			must(t, err)
			l.Close()
		}
		select {
		case got := <-exists:
			if got != n {
				t.Errorf("EXISTS %d, want %d", got, n)
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("not told")
		}
	}
	must(t, idle.Close())
	must(t, idle.Wait())
}

// TestGoIMAP: two sessions on one mailbox, with the extensions that go-imap's
// client uses when they are offered.
func TestGoIMAP(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	one := b.imapLogin(t, alice, alicesWord, nil)
	two := b.imapLogin(t, alice, alicesWord, nil)
	var uids []imap.UID
	for i := range 10 {
		text := fmt.Sprintf("From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: =?utf-8?q?N=C2=BA?= %d\r\nMessage-ID: <%d@example.net>\r\n\r\nText %d.\r\n", i, i, i)
		a := one.Append("INBOX", int64(len(text)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}, Time: time.Unix(1767225600, 0)})
		_, err := a.Write([]byte(text))
		must(t, err)
		must(t, a.Close())
		data, err := a.Wait()
		must(t, err)
		uids = append(uids, data.UID)
	}
	for _, c := range []*imapclient.Client{one, two} {
		selected, err := c.Select("INBOX", nil).Wait()
		must(t, err)
		if selected.NumMessages != 10 || selected.UIDNext != uids[9]+1 {
			t.Fatalf("SELECT: %+v", selected)
		}
	}
	section := &imap.FetchItemBodySection{Peek: true}
	all, err := one.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{section},
	}).Collect()
	must(t, err)
	for i, m := range all {
		if m.UID != uids[i] || m.Envelope.Subject != fmt.Sprintf("Nº %d", i) || m.Envelope.From[0].Addr() != bob ||
			!m.InternalDate.Equal(time.Unix(1767225600, 0)) || m.RFC822Size != int64(len(m.FindBodySection(section))) || m.BodyStructure.MediaType() != "text/plain" {
			t.Errorf("message %d: %+v %+v", i, m, m.Envelope)
		}
	}
	found, err := one.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "º 7"}}},
		&imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	must(t, err)
	if got := found.AllUIDs(); len(got) != 1 || got[0] != uids[7] || found.Count != 1 {
		t.Errorf("SEARCH: %+v", found)
	}
	moved, err := one.Move(imap.UIDSetNum(uids[0], uids[1]), "Trash").Wait()
	must(t, err)
	if moved.DestUIDs == nil || moved.SourceUIDs == nil {
		t.Errorf("MOVE without COPYUID: %+v", moved)
	}
	must(t, one.Store(imap.UIDSetNum(uids[2]), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}, Silent: true}, nil).Close())
	must(t, one.Store(imap.UIDSetNum(uids[3]), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}, Silent: true}, nil).Close())
	must(t, one.UIDExpunge(imap.UIDSetNum(uids[2])).Close())
	// The other session is told at NOOP.
	must(t, two.Noop().Wait())
	if n := two.Mailbox().NumMessages; n != 7 {
		t.Errorf("the other session sees %d messages, want 7", n)
	}
	flags, err := two.Fetch(imap.UIDSetNum(uids[3]), &imap.FetchOptions{UID: true, Flags: true}).Collect()
	must(t, err)
	if len(flags) != 1 || !contains(flags[0].Flags, imap.FlagDeleted) {
		t.Errorf("flags: %+v", flags)
	}
	folders, err := one.List("", "*", &imap.ListOptions{ReturnSpecialUse: true}).Collect()
	must(t, err)
	var trash bool
	for _, f := range folders {
		trash = trash || f.Mailbox == "Trash" && contains(f.Attrs, imap.MailboxAttrTrash)
	}
	if !trash {
		t.Errorf("no \\Trash among %d folders", len(folders))
	}
	must(t, one.Logout().Wait())
}

func contains[T comparable](all []T, one T) bool {
	for _, v := range all {
		if v == one {
			return true
		}
	}
	return false
}

// TestGoSMTP: submission with AUTH and DSN, and LMTP with a status for each
// recipient.
func TestGoSMTP(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	c, err := smtp.DialStartTLS(b.Submission(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	must(t, err)
	defer c.Close()
	must(t, c.Auth(sasl.NewPlainClient("", bob, bobsWord)))
	must(t, c.Mail(bob, &smtp.MailOptions{Size: 100, Body: smtp.Body8BitMIME, Return: smtp.DSNReturnHeaders, EnvelopeID: "id"}))
	must(t, c.Rcpt(alice, &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}}))
	err = c.Rcpt("nobody@example.test", nil)
	if status := new(smtp.SMTPError); !errors.As(err, &status) || status.Code != 550 || status.EnhancedCode != (smtp.EnhancedCode{5, 1, 1}) {
		t.Errorf("unknown recipient: %v", err)
	}
	w, err := c.Data()
	must(t, err)
	_, err = io.WriteString(w, "From: bob@example.test\r\nSubject: submitted\r\n\r\n.hidden dot\r\n")
	must(t, err)
	answer, err := w.CloseWithResponse()
	must(t, err)
	if !strings.Contains(answer.StatusText, "queued as ") {
		t.Errorf("answer %q", answer.StatusText)
	}
	text := readFile(t, b.waitMail(t, alice, 1)[0])
	for _, want := range []string{"\nMessage-ID: <", "\nDate: ", "\n\n.hidden dot\n", "Return-Path: <bob@example.test>\n", "\nReceived: "} {
		if !strings.Contains(text, want) && !strings.HasPrefix(text, strings.TrimPrefix(want, "\n")) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}

	conn, err := net.Dial("tcp", b.LMTP())
	must(t, err)
	l := smtp.NewClientLMTP(conn)
	defer l.Close()
	must(t, l.Mail("", nil))
	for _, to := range []string{alice, bob, "alice+news@example.test"} {
		must(t, l.Rcpt(to, nil))
	}
	w, err = l.Data()
	must(t, err)
	_, err = io.WriteString(w, "Subject: to three\r\n\r\nText.\r\n")
	must(t, err)
	answers, err := w.CloseWithLMTPResponse()
	must(t, err)
	if len(answers) != 3 {
		t.Errorf("answers: %v", answers)
	}
	b.waitMail(t, alice, 3)
	b.waitMail(t, bob, 1)
}
