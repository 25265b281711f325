package main

import (
	"strings"
	"testing"

	"toastmaster/configs"
)

func TestDescriptors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d           descriptors
		connections int64
		warns       string
	}{
		{descriptors{limit: 1 << 20, reserved: 1000, wanted: 90_000}, 1<<20 - 1000, ""},
		{descriptors{limit: 65536, reserved: 1000, wanted: 90_000}, 64536, "may need 90000"},
		{descriptors{limit: 1024, reserved: 1000, wanted: 90_000}, 512, "main.reserved_files alone is 1000"},
	} {
		if got := c.d.connections(); got != c.connections {
			t.Errorf("%+v: %d for connections, want %d", c.d, got, c.connections)
		}
		if got := c.d.warning(); (got == "") != (c.warns == "") || !strings.Contains(got, c.warns) {
			t.Errorf("%+v: %q", c.d, got)
		}
	}
	c := configs.Default()
	c.SMTPD.SubmissionListen = nil
	if got, want := descriptorsFor(c).wanted, int64(2*(2*c.SMTPD.MaxConnections+c.LMTPD.MaxConnections)+4*(c.IMAPD.MaxConnections+c.POP3D.MaxConnections)); got != want {
		t.Errorf("%d wanted, want %d", got, want)
	}
}
