package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
)

// TestLastLogins: what the command line and the API say of a mailbox's last log-ins
// is which services it came by, from where and when, a later one takes the place of
// an earlier one of the same service, a failed one is none, and a restart keeps them.
func TestLastLogins(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"auth.failure_answer": `"0s"`})
	logins := func() map[string]model.LastLogin {
		t.Helper()
		out, err := b.Run(testContext(t), "", "mailbox", "status", alice, "--json")
		must(t, err)
		var status model.MailboxStatus
		must(t, json.NewDecoder(bytes.NewReader([]byte(out))).Decode(&status))
		all := map[string]model.LastLogin{}
		for n, l := range status.Logins {
			if _, twice := all[l.Service]; twice || n > 0 && l.At.After(status.Logins[n-1].At) {
				t.Errorf("not one a service, the last first: %+v", status.Logins)
			}
			all[l.Service] = l
		}
		return all
	}
	submit := func(password, answer string) {
		t.Helper()
		c := converse(t, b.Submission())
		c.say(t, "EHLO client.example\r\n", "250 ")
		token := base64.StdEncoding.EncodeToString([]byte("\x00" + alice + "\x00" + password))
		c.say(t, "AUTH PLAIN "+token+"\r\n", answer)
	}
	pop := func(password, answer string) {
		t.Helper()
		c := converse(t, b.POP3())
		c.say(t, "USER "+alice+"\r\n", "+OK")
		c.say(t, "PASS "+password+"\r\n", answer)
		if answer == "+OK" {
			c.say(t, "QUIT\r\n", "+OK")
		}
	}
	imap := func(password, answer string) {
		t.Helper()
		converse(t, b.IMAP()).say(t, "a LOGIN "+alice+" "+password+"\r\n", "a "+answer)
	}
	submit("wrong", "535 ")
	pop("wrong", "-ERR")
	imap("wrong", "NO")
	if got := logins(); len(got) != 0 {
		t.Errorf("failed ones are shown: %+v", got)
	}
	began := time.Now().Truncate(time.Millisecond)
	submit(alicesWord, "235 ")
	pop(alicesWord, "+OK")
	imap(alicesWord, "OK")
	first := logins()
	for _, service := range []string{"smtpd", "pop3d", "imapd"} {
		if l, ok := first[service]; !ok || l.Client != "127.0.0.1" || l.At.Before(began) || l.At.After(time.Now()) {
			t.Errorf("%s: %+v", service, first)
		}
	}
	pop(alicesWord, "+OK")
	second := logins()
	if len(second) != 3 || !second["pop3d"].At.After(first["pop3d"].At) || second["imapd"] != first["imapd"] || second["smtpd"] != first["smtpd"] {
		t.Errorf("after another one by POP3: %+v, before %+v", second, first)
	}
	out, err := b.Run(testContext(t), "", "mailbox", "status", alice)
	if must(t, err); strings.Count(out, "last log-in") != 3 || strings.Count(out, " from 127.0.0.1") < 3 {
		t.Errorf("mailbox status: %s", out)
	}
	out, err = b.Run(testContext(t), "", "mailbox", "status", bob)
	if must(t, err); !strings.Contains(out, "none that is known") {
		t.Errorf("bob: %s", out)
	}
	must(t, b.Stop())
	b.start(t)
	kept := logins()
	for service, l := range second {
		if k := kept[service]; k.Client != l.Client || !k.At.Truncate(time.Millisecond).Equal(l.At.Truncate(time.Millisecond)) {
			t.Errorf("%s after a restart: %+v, before %+v", service, k, l)
		}
	}
}
