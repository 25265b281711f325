package imapd

import (
	"path/filepath"
	"testing"

	"toastmaster/internal/testkit/transcript"
)

// TestDialoguesSayEverything: every verb, and every text that the source has, of a refusal,
// an OK, a BYE or an untagged line, is in a file of testdata/dialogues; what a dialogue cannot bring
// about is in another test. A new verb or a new refusal fails here until it has one.
func TestDialoguesSayEverything(t *testing.T) {
	t.Parallel()
	spoken := transcript.Read(t, filepath.Join("testdata", "dialogues"))
	var verbs []string
	for _, v := range table() {
		verbs = append(verbs, v.name)
	}
	spoken.Verbs(t, verbs, true)
	texts := transcript.Says{
		Calls:    map[string]int{"bad": 0, "no": 1, "bye": 0, "refuseUntagged": 0, "writeString": 0, "respond": 3},
		Fields:   []string{"refusal.text", "reply.text"},
		Literals: map[string]int{"reply": 1},
		Rows:     map[string]int{"outcomes": 2},
	}.Texts(t, ".")
	spoken.Check(t, ".", texts, transcript.Elsewhere{
		"Mailbox is not available, please reconnect":                   "TestMailboxNotAvailable",
		"Mailbox is locked by another process, please try again later": "TestRefusalsOfTheStore",
		"* OK Still here":                               "TestIdleNotify",
		"* BYE Server is shutting down":                 "TestCommandsLookAtTheContext",
		"* BYE Autologout: you were quiet for too long": "TestAutologout",
		"Too much of one message, many times over":      "TestManyCopiesOfAMessage",
	})
}
