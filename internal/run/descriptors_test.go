package run

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"toastmaster/configs"
)

func TestDescriptors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d              descriptors
		connections    int64
		refuses, warns string
	}{
		{descriptors{limit: 1 << 20, reserved: 1000, wanted: 90_000}, 1<<20 - 1000, "", ""},
		{descriptors{limit: 65536, reserved: 1000, wanted: 90_000}, 64536, "", "may need 90000"},
		{descriptors{limit: 20_000, reserved: 1000}, 19_000, "", ""},
		{descriptors{limit: 1024, reserved: 1000}, 24, "", "connections get the other 24"},
		{descriptors{limit: 1003, reserved: 1000}, 3, "to at least 2000", "connections get the other 3"},
		{descriptors{limit: 256, reserved: 1000}, 0, "to at least 2000", "connections get the other 0"},
	} {
		if got := c.d.connections(); got != c.connections {
			t.Errorf("%+v: %d for connections, want %d", c.d, got, c.connections)
		}
		if got := fmt.Sprint(c.d.refusal()); (got == "<nil>") != (c.refuses == "") || !strings.Contains(got, c.refuses) {
			t.Errorf("%+v: %q", c.d, got)
		}
		if got := c.d.warning(); (got == "") != (c.warns == "") || !strings.Contains(got, c.warns) {
			t.Errorf("%+v: %q", c.d, got)
		}
	}
	c := configs.Default()
	if got := descriptorsFor(c).wanted; got != 0 {
		t.Errorf("the defaults want %d", got)
	}
	c.SMTPD.MaxConnections, c.SMTPD.SubmissionListen, c.IMAPD.MaxConnections = 70, nil, 100
	if got, want := descriptorsFor(c).wanted, int64(2*2*70+4*100); got != want {
		t.Errorf("%d wanted, want %d", got, want)
	}
}

// TestDescriptorsOfAProcess has processes of its own with real limits: the soft one
// is raised to the hard one (Go leaves one), a start is refused when the reserve does not fit, and
// a demo says nothing when it has a few thousand.
func TestDescriptorsOfAProcess(t *testing.T) {
	if dir := os.Getenv("TOASTMASTER_TEST_DESCRIPTORS"); dir != "" {
		c, err := Initialise(t.Context(), InitOptions{Dir: dir, PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		d := descriptorsFor(c)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // one that is not refused ends at the next step
		fmt.Printf("limit=%d connections=%d warning=%q\nserve: %v\n", d.limit, d.connections(), d.warning(), Serve(ctx, Options{Config: c, Getenv: func(string) string { return "" }, Stderr: os.Stderr}))
		return
	}
	t.Parallel()
	for _, c := range []struct{ hard, want, not string }{
		{"500", "limit=499 connections=0", "serve: <nil>"},
		{"500", "serve: this process may open 499 files, and 1000 are kept", ""},
		{"5000", "limit=4999 connections=3999 warning=\"\"", "this process may open"},
	} {
		child := exec.CommandContext(t.Context(), "/bin/sh", "-c", `ulimit -Sn 200 && ulimit -Hn "$1" && exec "$0" -test.run '^TestDescriptorsOfAProcess$'`, os.Args[0], c.hard)
		child.Env = append(os.Environ(), "TOASTMASTER_TEST_DESCRIPTORS="+t.TempDir())
		out, err := child.CombinedOutput()
		if text := string(out); err != nil && !strings.Contains(text, "serve: ") || !strings.Contains(text, c.want) || c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("hard limit %s: %v, no %q in %s", c.hard, err, c.want, text)
		}
	}
}
