package smtpd

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/transcript"
	"toastmaster/mta/policy"
)

// TestListsAreAskedAtTheirSteps: each list alone refuses everybody, at its step
// and no other, on the port that it is for.
func TestListsAreAskedAtTheirSteps(t *testing.T) {
	t.Parallel()
	reject := []string{"reject"}
	const (
		greeted = "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 CHUNKING\n"
		login   = "C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\nS: 235 *\n"
		mail    = "C: MAIL FROM:<alice@example.test>\n"
		rcpt    = "C: RCPT TO:<bob@example.test>\n"
	)
	for name, c := range map[string]struct {
		set  func(*configs.Restrictions)
		says string
	}{
		"client":      {func(r *configs.Restrictions) { r.Client = reject }, "S: 554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied\nS: <end>\n"},
		"helo":        {func(r *configs.Restrictions) { r.Helo = reject }, "S: 220 *\nC: EHLO client.test\nS: 554 5.7.1 <client.test>: Helo command rejected: Access denied\nC: MAIL FROM:<x@elsewhere.test>\nS: 503 *\n"},
		"sender":      {func(r *configs.Restrictions) { r.Sender = reject }, greeted + login + mail + "S: 554 5.7.1 <alice@example.test>: Sender address rejected: Access denied\n"},
		"relay":       {func(r *configs.Restrictions) { r.Relay = reject }, greeted + login + mail + "S: 250 *\n" + rcpt + "S: 554 5.7.1 <bob@example.test>: Recipient address rejected: Access denied\n"},
		"recipient":   {func(r *configs.Restrictions) { r.Recipient = reject }, greeted + login + mail + "S: 250 *\n" + rcpt + "S: 554 5.7.1 <bob@example.test>: Recipient address rejected: Access denied\n"},
		"data":        {func(r *configs.Restrictions) { r.Data = reject }, greeted + login + mail + "S: 250 *\n" + rcpt + "S: 250 *\nC: DATA\nS: 554 5.7.1 <DATA>: Data command rejected: Access denied\nC: NOOP\nS: 250 *\n"},
		"end of data": {func(r *configs.Restrictions) { r.EndOfData = reject }, greeted + login + mail + "S: 250 *\n" + rcpt + "S: 250 *\nC: DATA\nS: 354 *\nC: x\nC: .\nS: 554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: Access denied\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.o.Params.AuthOnListen, b.o.Params.Restrictions.Delay = true, false
			c.set(&b.o.Params.Restrictions)
			good := greeted + login + mail + "S: 250 *\n" + rcpt + "S: 250 *\nC: DATA\nS: 354 *\nC: x\nC: .\nS: 250 *\nC: QUIT\nS: 221 *\n"
			end := "C: QUIT\nS: 221 *\n"
			if strings.HasSuffix(c.says, "<end>\n") {
				end = ""
			}
			play(t, b, (*Daemon).MX, c.says+end)
			if len(b.sent.all) > 0 {
				t.Fatal("a message that was refused was submitted")
			}
			play(t, b, (*Daemon).Submission, good)

			b.o.Params.MUARestrictions, b.o.Params.Restrictions = b.o.Params.Restrictions, b.o.Params.MUARestrictions
			play(t, b, (*Daemon).Submission, c.says+end)
			play(t, b, (*Daemon).MX, good)
		})
	}
}

// TestDialoguesOfLists runs testdata/lists/*.txt, from outside, against a port with the
// lists that stand at the head of the dialogue: "# sender_restrictions = reject".
func TestDialoguesOfLists(t *testing.T) {
	t.Parallel()
	transcript.RunDir(t, "testdata/lists", transcript.Options{Dial: func(t *testing.T, name string) net.Conn {
		b := newBed(t)
		b.o.Trusted = nil
		r := &b.o.Params.Restrictions
		r.Delay = false
		fields := map[string]*[]string{
			"client": &r.Client, "helo": &r.Helo, "sender": &r.Sender, "relay": &r.Relay, "recipient": &r.Recipient, "data": &r.Data, "end_of_data": &r.EndOfData,
		}
		for list, names := range listsOf(t, name) {
			if fields[list] == nil {
				t.Fatalf("%s: no list %q", name, list)
			}
			*fields[list] = names
		}
		c, err := net.Dial("tcp", serve(t, served(daemon(t, b.o).MX()), nil))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}})
}

// TestPostfixSaysTheSame: the dialogues of testdata/lists are true of Postfix with the same
// lists. One that is about what Postfix has not, or does otherwise, lies elsewhere.
func TestPostfixSaysTheSame(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	transcript.RunDir(t, "testdata/lists", transcript.Options{Dial: func(t *testing.T, name string) net.Conn {
		main := "mynetworks =\nsmtpd_delay_reject = no\nsmtpd_helo_required = yes\nsmtpd_soft_error_limit = 1000\nsmtpd_hard_error_limit = 1000\n" +
			"smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"
		for list, names := range listsOf(t, name) {
			main += "smtpd_" + list + "_restrictions = " + strings.Join(names, " ") + "\n"
		}
		p, err := peers.StartPostfix(t.Context(), peers.PostfixOptions{
			Dir: peers.TempDir(t), Hostname: "mx.test", Accounts: []peers.Account{{Address: "alice@example.test"}}, Main: main,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(p.LogTail(4000))
			}
			p.Stop()
		})
		c, err := net.Dial("tcp", p.SMTP())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}})
}

// listsOf reads the head of a dialogue.
func listsOf(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "lists", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	lists, line := map[string][]string{}, regexp.MustCompile(`^# ([a-z_]+)_restrictions = (.*)`)
	for l := range strings.Lines(string(text)) {
		m := line.FindStringSubmatch(l)
		if m == nil {
			break
		}
		lists[m[1]] = strings.Fields(m[2])
	}
	if len(lists) == 0 {
		t.Fatalf("%s has no lists at its head", name)
	}
	return lists
}

// TestTrustedNetworksRelayByAList: without permit_mynetworks they do not.
func TestTrustedNetworksRelayByAList(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Params.Restrictions.Relay = []string{"permit_sasl_authenticated", "defer_unauth_destination"}
	play(t, b, (*Daemon).MX, `S: 220 *
C: HELO client.test
S: 250 *
C: MAIL FROM:<s@elsewhere.test>
S: 250 *
C: RCPT TO:<x@elsewhere.test>
S: 454 4.7.1 <x@elsewhere.test>: Relay access denied
C: RCPT TO:<alice@example.test>
S: 250 *
C: QUIT
S: 221 *
`)
	// And without the list of who is here they are told later.
	b.o.Params.Restrictions.Recipient = []string{"reject_over_quota"}
	play(t, b, (*Daemon).MX, `S: 220 *
C: HELO client.test
S: 250 *
C: MAIL FROM:<s@elsewhere.test>
S: 250 *
C: RCPT TO:<nobody@example.test>
S: 250 *
C: RCPT TO:<postmaster>
S: 250 *
C: QUIT
S: 221 *
`)
}

// TestAnOpenRelayDoesNotStart, on neither kind of port.
func TestAnOpenRelayDoesNotStart(t *testing.T) {
	t.Parallel()
	for param, set := range map[string]func(*configs.SMTPD){
		"smtpd.relay_restrictions":     func(p *configs.SMTPD) { p.Restrictions.Relay = []string{"permit_mynetworks"} },
		"smtpd.mua_relay_restrictions": func(p *configs.SMTPD) { p.MUARestrictions.Relay = nil },
	} {
		b := newBed(t)
		set(&b.o.Params)
		_, err := New(b.o)
		c := configs.Default()
		c.SMTPD = b.o.Params
		var m *policy.Mistake
		if !errors.As(err, &m) || m.Param != param || CheckRestrictions(c, nil) == nil {
			t.Errorf("%s: %v", param, err)
		}
	}
}

// TestRefusalsOfLists: what is refused for now, and a sender that is somebody's here
// from who has not logged in; another sender passes.
func TestRefusalsOfLists(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Params.Restrictions.Delay = false
	b.o.Params.Restrictions.Sender = []string{"reject_unauthenticated_sender_login_mismatch"}
	b.o.Params.Restrictions.Recipient = []string{"defer"}
	play(t, b, (*Daemon).MX, `S: 220 *
C: EHLO client.test
S: ...
S: 250 CHUNKING
C: MAIL FROM:<alice@example.test>
S: 553 5.7.1 <alice@example.test>: Sender address rejected: not logged in
C: MAIL FROM:<ALICE+x@alias.test>
S: 553 5.7.1 <ALICE+x@alias.test>: Sender address rejected: not logged in
C: MAIL FROM:<nobody@elsewhere.test>
S: 250 *
C: RCPT TO:<alice@example.test>
S: 450 4.3.2 <alice@example.test>: Recipient address rejected: Try again later
C: RSET
S: 250 *
C: MAIL FROM:<>
S: 250 *
C: QUIT
S: 221 *
`)
	if len(b.sent.all) > 0 {
		t.Error("something was submitted")
	}
}
