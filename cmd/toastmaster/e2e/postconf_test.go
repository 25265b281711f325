package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestPostconfHasNoNameWithoutAnAnswer: each parameter that Debian's postconf -d lists stands in
// what the binary prints of Postfix's parameters, with a name or a reason; and config
// explain says the same of one of each kind.
func TestPostconfHasNoNameWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	listed, err := exec.Command(peers.Need(t, "postconf", "postfix"), "-d").Output()
	must(t, err)
	table := client(t, t.TempDir(), "", program, "config", "postfix")
	names := 0
	for line := range strings.Lines(string(listed)) {
		name, _, _ := strings.Cut(line, " ")
		names++
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("%s is not in the table", name)
		}
	}
	if names < 900 {
		t.Errorf("only %d parameters", names)
	}
	for name, want := range map[string]string{
		"smtpd_recipient_limit": "smtpd.recipient_limit\n", "smtpd_tls_dcert_file": "left out: ", "check_client_access": "smtpd.client_restrictions\n",
	} {
		if out := client(t, t.TempDir(), "", program, "config", "explain", name); !strings.Contains(out, want) {
			t.Errorf("%s: %s", name, out)
		}
	}
}
