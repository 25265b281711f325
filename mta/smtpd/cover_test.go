package smtpd

import (
	"path/filepath"
	"slices"
	"testing"

	"toastmaster/internal/testkit/transcript"
)

// TestDialoguesSayEverything: every refusal that smtpd and mta/policy decide is in a
// dialogue; what one cannot bring about is in another test.
func TestDialoguesSayEverything(t *testing.T) {
	t.Parallel()
	var dirs []string
	for _, d := range []string{"mx", "outside", "submission", "submissions", "down", "lists", "etrn"} {
		dirs = append(dirs, filepath.Join("testdata", d))
	}
	spoken := transcript.Read(t, dirs...)
	says := transcript.Says{Calls: map[string]int{"New": 1, "Newf": 1, "Wrap": 1, "tooMuch": 0}}
	texts := slices.Concat(says.Texts(t, "."), says.Texts(t, filepath.Join("..", "policy")))
	spoken.Check(t, ".", texts, transcript.Elsewhere{
		"*: The limit of * * an hour is reached, try again later":                   "TestLimitsOfAUser",
		"too many refused recipients from this client":                              "TestProbingAddressesEnds",
		"Too many refused recipients from *":                                        "TestProbingAddressesEnds",
		"Too many commands from *":                                                  "TestRatesOfAClient",
		"Error: * from *":                                                           "TestRatesOfAClient",
		"Error: too many new TLS sessions from *":                                   "TestRatesOfTLSAsPostfix",
		"Error: Client certificate not trusted":                                     "TestRequiredCertificatesAsPostfix",
		"Error: No client certificate presented":                                    "TestRequiredCertificatesAsPostfix",
		"*Improper use of SMTP command pipelining":                                  "TestPipeliningIsRemembered",
		"*Domain not found":                                                         "TestRepliesArePostfixs",
		"<*>: * rejected: Temporary error in the lookup of a list of known senders": "TestRepliesArePostfixs",
		"*Server configuration error":                                               "TestRepliesArePostfixs",
		"Server configuration error":                                                "TestActionsWithoutSense",
		"*Try again later":                                                          "TestRefusalsOfLists",
		"Error: queue file write error":                                             "TestAFilterThatFails",
		"*not logged in":                                                            "TestRefusalsOfLists",
	})
}
