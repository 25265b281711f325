package e2e

import (
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// TestAFullMailboxIsToldToTheClient: of many messages at once into a mailbox with
// room for two, two are taken and the others refused while the client is there:
// no report comes back. What is removed by hand gives room at once, and so it
// stays over a kill.
func TestAFullMailboxIsToldToTheClient(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"store.quota_grace": "0"})
	ctx := testContext(t)
	const text = 40_000
	_, err := b.Run(ctx, "", "mailbox", "set", bob, "--quota", "100000")
	must(t, err)
	body := strings.Repeat(strings.Repeat("x", 78)+"\r\n", text/80)
	send := func(to ...string) (string, error) {
		s, err := dialSMTP(b.SMTP(), "EHLO")
		if err != nil {
			return "", err
		}
		defer s.Close()
		return s.send(alice, to, "Subject: large\r\n\r\n"+body)
	}
	full := func(reply string, err error) {
		t.Helper()
		var refused *smtpError
		if !errors.As(err, &refused) || !strings.HasPrefix(reply, "552 5.2.2 ") {
			t.Errorf("%q %v", reply, err)
		}
	}
	var took atomic.Int32
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if reply, err := send(bob); err == nil {
				took.Add(1)
			} else {
				full(reply, err)
			}
		})
	}
	all.Wait()
	if n := took.Load(); n != 2 {
		t.Errorf("%d messages were taken, there was room for 2", n)
	}
	files := b.waitMail(t, bob, 2)
	b.queueEmpty(t)
	if n := len(b.mail(t, alice, "")); n != 0 {
		t.Errorf("%d reports", n)
	}
	// By an alias, and with others: who has room gets it.
	must(t, b.AddAlias(ctx, "team@example.test", bob))
	full(send("team@example.test"))
	_, err = send(bob, alice)
	must(t, err)
	b.waitMail(t, alice, 2) // the message, and the report about bob
	b.waitMail(t, bob, 2)

	c := b.imapLogin(t, bob, bobsWord, nil)
	w := c.Append("INBOX", int64(len(body)), nil)
	_, err = w.Write([]byte(body))
	must(t, err)
	must(t, w.Close())
	var no *imap.Error
	if _, err = w.Wait(); !errors.As(err, &no) || no.Code != imap.ResponseCodeOverQuota {
		t.Errorf("APPEND: %v", err)
	}
	must(t, c.Logout().Wait())

	must(t, os.Remove(files[0]))
	eventually(t, func() error {
		_, err := send(bob)
		return err
	})
	b.waitMail(t, bob, 2)
	full(send(bob))
	// A kill loses nothing of what is counted.
	must(t, os.Remove(b.mail(t, bob, "")[0]))
	eventually(t, func() error {
		_, err := send(bob)
		return err
	})
	b.waitMail(t, bob, 2)
	b.Kill()
	b.start(t)
	full(send(bob))
	b.queueEmpty(t)
	b.waitMail(t, bob, 2)
}
