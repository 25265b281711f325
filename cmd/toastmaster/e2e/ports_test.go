package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestConfigCheckOfPorts: a port that another program has is a warning, the instance's own
// are none, whether it runs or not, and nothing is left bound.
func TestConfigCheckOfPorts(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	check := func(when, want string) {
		t.Helper()
		out, err := b.Run(testContext(t), "", "config", "check", "--bind", "--json")
		if must(t, err); strings.Contains(out, "another program listens on") != (want != "") || !strings.Contains(out, want) {
			t.Errorf("%s: %q is not said: %s", when, want, out)
		}
	}
	set := func(param, value string) {
		t.Helper()
		_, err := b.Run(testContext(t), "", "config", "set", param, value)
		must(t, err)
	}
	check("while it runs", "")
	_, port, err := net.SplitHostPort(b.IMAP())
	must(t, err)
	set("imapd.listen", fmt.Sprintf("[%q]", "0.0.0.0:"+port))
	check("its own port on all addresses", "")
	set("imapd.listen", fmt.Sprintf("[%q]", b.IMAP()))
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	busy := other.Addr().String()
	_, port, err = net.SplitHostPort(busy)
	must(t, err)
	for _, address := range []string{busy, "0.0.0.0:" + port, "[::]:" + port, ":" + port} {
		set("pop3d.listen", fmt.Sprintf("[%q]", address))
		check("somebody else's port", fmt.Sprintf(`pop3d.listen: another program listens on \"%s\"`, address))
	}
	must(t, b.Stop())
	check("somebody else's port, and no instance", "pop3d.listen")
	must(t, other.Close())
	check("nobody's port", "")
	b.start(t)
	check("started where it was checked", "")
}
