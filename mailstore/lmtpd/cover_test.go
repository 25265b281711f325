package lmtpd

import (
	"path/filepath"
	"testing"

	"toastmaster/internal/testkit/transcript"
)

// TestDialoguesSayEverything: every command of LMTP and every refusal that the source
// has is in a file of testdata/dialogues.
func TestDialoguesSayEverything(t *testing.T) {
	t.Parallel()
	spoken := transcript.Read(t, filepath.Join("testdata", "dialogues"))
	spoken.Check(t, ".", transcript.Says{Calls: map[string]int{"New": 1, "Newf": 1, "Wrap": 1}}.Texts(t, "."), transcript.Elsewhere{})
}
