package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestReloadAndStop by the command line: each waits, says how it went, and has an
// exit code.
func TestReloadAndStop(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	says := func(status, word string, args ...string) {
		t.Helper()
		out, err := b.Run(ctx, "", args...)
		if err != nil {
			out += err.Error()
		}
		if (err == nil) != (status == "") || !strings.Contains(out, status) || !strings.Contains(out, word) {
			t.Errorf("%v: %s", args, out)
		}
	}
	says("", "reloaded\n", "reload")
	text := readFile(t, b.ConfigFile())
	says("", "imapd.max_connections: 77, was ", "config", "set", "imapd.max_connections", "77")
	says("", "wait for a restart: imapd.max_connections", "reload")
	says("", `"imapd.max_connections"`, "reload", "--json")
	must(t, os.WriteFile(b.ConfigFile(), []byte(text), 0o600))
	must(t, os.Rename(b.Data()+"/tls/cert.pem", b.Data()+"/tls/cert.aside"))
	if out, err := b.Run(ctx, "", "reload"); err == nil || !strings.Contains(err.Error(), "exit status 1") || strings.Count(err.Error(), "cert.pem: no such file") != 1 {
		t.Errorf("without a certificate: %v %s", err, out)
	}
	must(t, os.Rename(b.Data()+"/tls/cert.aside", b.Data()+"/tls/cert.pem"))
	says("", "reloaded\n", "reload")
	says("exit status 2", "unexpected argument", "stop", "now")
	says("", "has ended after", "stop")
	select {
	case <-b.Process().Done():
		if err := b.Process().Err(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	default:
		// It has ended; that its parent has heard of it is a matter of a moment.
		<-b.Process().Done()
	}
	says("exit status 1", "no instance runs", "stop")
	says("exit status 1", "", "reload")
}
