package pop3d

import (
	"path/filepath"
	"testing"

	"toastmaster/internal/testkit/transcript"
)

// TestDialoguesSayEverything: every command, and every refusal that the source has,
// is in a file of testdata/dialogues; what a dialogue cannot bring about is in
// another test. A new command or refusal fails here until it has one.
func TestDialoguesSayEverything(t *testing.T) {
	t.Parallel()
	spoken := transcript.Read(t, filepath.Join("testdata", "dialogues"))
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	spoken.Verbs(t, names, false)
	texts := transcript.Says{Calls: map[string]int{"mistake": 0, "err": 0, "ok": 0, "Wrap": 1}}.Texts(t, ".")
	spoken.Check(t, ".", texts, transcript.Elsewhere{
		"[SYS/TEMP] Server is shutting down":                "TestDrain",
		"Disconnected for inactivity":                       "TestIdleTimeout",
		"[SYS/TEMP] Some deleted messages were not removed": "TestQuitReportsWhatItCouldNotDelete",
		"[SYS/PERM] *": "TestResponseCodes",
	})
}
