package smtp

import (
	"strings"
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// TestProbeEndsAfterRcpt: a probe says what the host says to RCPT, sends no DATA, and leaves a
// connection on which the next transaction begins anew.
func TestProbeEndsAfterRcpt(t *testing.T) {
	t.Parallel()
	for _, ehlo := range [][]string{{"PIPELINING"}, {}, {"PIPELINING", "CHUNKING"}} {
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo = ehlo
		p.answers = map[string][]string{"RCPT TO:<gone@": {"550 5.1.1 no such user"}, "RCPT TO:<later@": {"450 4.2.0 greylisted"}}
		r := newRig(t, p.start().port, one(), nil)
		probe := func(to string) agent.Result {
			t.Helper()
			var got []agent.Result
			r.agent.Probe(t.Context(), request("remote.test", hello, to), func(res agent.Result) { got = append(got, res) })
			if len(got) != 1 {
				t.Fatalf("%s: %d results", to, len(got))
			}
			return got[0]
		}
		for to, want := range map[string]dsn.Status{"ok@remote.test": dsn.OK, "gone@remote.test": dsn.BadDestMailbox, "later@remote.test": dsn.Make(4, 2, 0)} {
			if got := probe(to); status(got) != want || got.Err == nil && !strings.HasPrefix(got.Text, "250") {
				t.Errorf("%s: %+v", to, got)
			}
		}
		if n := len(p.seen("DATA")) + len(p.seen("BDAT")); n != 0 {
			t.Errorf("%d DATA or BDAT", n)
		}
		if _, n := p.count(); n != 0 {
			t.Errorf("%d messages", n)
		}
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
		if sessions, n := p.count(); sessions != 1 || n != 1 {
			t.Errorf("%d sessions, %d messages", sessions, n)
		}
		if mails, resets := len(p.seen("MAIL")), len(p.seen("RSET")); mails != 4 || resets < 3 {
			t.Errorf("%d MAIL, %d RSET", mails, resets)
		}
	}
}

// TestProbeOfAnUnreachableHost is a temporary failure.
func TestProbeOfAnUnreachableHost(t *testing.T) {
	t.Parallel()
	r := newRig(t, silentPort(t), one(), nil)
	var got []agent.Result
	r.agent.Probe(t.Context(), request("remote.test", hello, "a@remote.test"), func(res agent.Result) { got = append(got, res) })
	if len(got) != 1 || got[0].Err == nil || !got[0].Err.Temporary() {
		t.Errorf("%+v", got)
	}
}
