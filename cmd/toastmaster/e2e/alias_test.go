package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestAliasKeepsACopy: an alias beside a mailbox forwards with a copy when it
// names itself, and without one when it does not.
func TestAliasKeepsACopy(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	for _, step := range []struct {
		args, says string
		send       bool
		alice, bob int
	}{
		{"alias add alice@example.test alice@example.test bob@example.test", "keeps a copy", true, 1, 1},
		{"alias set alice@example.test bob@example.test", "gets no mail", true, 1, 2},
		{"mailbox show alice@example.test", "mail goes to it", false, 1, 2},
		{"alias show alice@example.test", "gets no mail", false, 1, 2},
		{"alias remove alice@example.test", "removed", true, 2, 2},
	} {
		out, err := b.Run(ctx, "", strings.Fields(step.args)...)
		must(t, err)
		if !strings.Contains(out, step.says) {
			t.Errorf("%s says %q", step.args, out)
		}
		if step.send {
			b.sendOne(t, "sender@example.net", alice, "after "+step.args[:9])
		}
		b.waitMail(t, alice, step.alice)
		b.waitMail(t, bob, step.bob)
	}
	b.queueEmpty(t)
	for i, f := range b.mail(t, bob, "") {
		if text := readFile(t, f); !strings.Contains(text, "X-Original-To: "+alice+"\nDelivered-To: "+bob) {
			t.Error(fmt.Sprint(i), text)
		}
	}
}
