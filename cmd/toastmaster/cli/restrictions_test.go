package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestRestrictionsAreChecked: config check and serve name a restriction that there
// is not, with its own line and what was meant, and an open relay.
func TestRestrictionsAreChecked(t *testing.T) {
	t.Parallel()
	dir, _ := used(t)
	file := filepath.Join(dir, "toastmaster.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := func(behind int) string {
		return file + ":" + strconv.Itoa(bytes.Count(text, []byte("\n"))+2+behind) + ": "
	}
	for name, c := range map[string]struct {
		section string
		says    []string
	}{
		"unknown": {"[smtpd]\nrecipient_restrictions = [\n  \"permit_mynetworks\",\n  # a comment\n  \"reject_unlisted_recipent\",\n]\n",
			[]string{line(4) + "smtpd.recipient_restrictions: unknown restriction \"reject_unlisted_recipent\", did you mean reject_unlisted_recipient?"}},
		"too early": {"[smtpd]\nmua_client_restrictions = [\"permit_mynetworks\", \"reject_over_quota\"]\n",
			[]string{line(1) + "smtpd.mua_client_restrictions: reject_over_quota cannot be asked here"}},
		"an open relay": {"[smtpd]\nrelay_restrictions = [\"permit_mynetworks\"]\n",
			[]string{line(1) + "smtpd.relay_restrictions: anybody could send mail to anywhere through this host (an open relay)", "reject_unauth_destination"}},
	} {
		if err := os.WriteFile(file, append(bytes.Clone(text), "\n"+c.section...), 0o600); err != nil {
			t.Fatal(name, err)
		}
		refused(t, dir, c.says...)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	runs(t, 0, "config", "check", "-c", file)
}
