package lmtpd

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/transcript"
	"toastmaster/mailstore/plan"
)

// planByExtension gives the messages for alice+EXTENSION a plan each. The mailbox Sent
// cannot be written.
func (b *bed) planByExtension() {
	b.plan = func(_ context.Context, m *plan.Message) ([]plan.Action, error) {
		switch _, extension, _ := strings.Cut(m.To.Local, "+"); extension {
		case "two":
			return []plan.Action{plan.FileInto{Mailbox: "Junk"}, plan.Keep{}}, nil
		case "no":
			return []plan.Action{plan.Reject{Text: "Please write\nto the list"}}, nil
		case "broken":
			return nil, errors.New("line 7 of the script")
		case "half":
			return []plan.Action{plan.Keep{}, plan.FileInto{Mailbox: "Sent"}}, nil
		}
		return []plan.Action{plan.Discard{}}, nil
	}
	b.fs.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Link && strings.Contains(name, "/.Sent/new/") {
			return faultfs.EIO
		}
		return nil
	})
}

// TestPlans: each recipient hears what became of the message by its own plan, what was
// taken back is not there, and the log has a line for each copy.
func TestPlans(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	b.planByExtension()
	transcript.Run(t, "plans", readDialogue(t, "plans"), transcript.Options{
		Dial: func(t *testing.T, _ string) net.Conn { return b.dial(t, "tcp") },
	})
	if got := b.inbox(t, "alice"); len(got) != 1 || !strings.Contains(got[0], "Delivered-To: alice+two@example.test\n") {
		t.Errorf("%q", got)
	}
	log := b.log.String()
	for _, line := range []string{"folder=Junk", "folder=INBOX"} {
		if strings.Count(log, line) != 1 {
			t.Errorf("%s:\n%s", line, log)
		}
	}
	for _, cause := range []string{"line 7 of the script", "input/output error"} {
		if !strings.Contains(log, cause) {
			t.Errorf("%s is not in the log:\n%s", cause, log)
		}
	}
}
