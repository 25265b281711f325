package smtpserver

import (
	"path/filepath"
	"testing"

	"toastmaster/internal/testkit/transcript"
)

// TestDialoguesSayEverything: every command of SMTP and LMTP, and every refusal that
// the source has, is in a dialogue; what a dialogue cannot bring about is in another
// test. A new row or a new refusal fails here until it has one.
func TestDialoguesSayEverything(t *testing.T) {
	t.Parallel()
	for folder, rows := range map[string][]Verb{"smtp": SMTPVerbs(), "lmtp": LMTPVerbs()} {
		spoken := transcript.Read(t, filepath.Join("testdata", folder))
		var verbs []string
		for _, v := range rows {
			if v.Name != "" {
				verbs = append(verbs, v.Name)
			}
		}
		spoken.Verbs(t, verbs, false)
	}
	spoken := transcript.Read(t, filepath.Join("testdata", "smtp"), filepath.Join("testdata", "lmtp"))
	texts := transcript.Says{Calls: map[string]int{"New": 1, "Newf": 1, "Wrap": 1, "wrongProtocol": 0}}.Texts(t, ".")
	spoken.Check(t, ".", texts, transcript.Elsewhere{
		"AUTH is not offered":                       "TestNotOffered",
		"Must issue a STARTTLS command first":       "TestTLSRequired",
		"STARTTLS is not offered":                   "TestNotOffered",
		"Error: SMTP protocol synchronization":      "TestNothingBeforeItsTime",
		"Service is shutting down, try again later": "TestDrainEndsAfterThePresentCommand",
		"Timeout exceeded":                          "TestIdleClientIsTold",
		"Error: insufficient authorization":         "TestXClientRefusals",
		"Error: MAIL transaction in progress":       "TestXClientRefusals",
	})
}
