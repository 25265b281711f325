package check

import (
	"fmt"
	"strings"
	"testing"

	"toastmaster/configs"
)

func TestDescriptors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d              Descriptors
		connections    int64
		refuses, warns string
	}{
		{Descriptors{Limit: 1 << 20, reserved: 1000, wanted: 90_000}, 1<<20 - 1000, "", ""},
		{Descriptors{Limit: 65536, reserved: 1000, wanted: 90_000}, 64536, "", "may need 90000"},
		{Descriptors{Limit: 20_000, reserved: 1000}, 19_000, "", ""},
		{Descriptors{Limit: 1024, reserved: 1000}, 24, "", "connections get the other 24"},
		{Descriptors{Limit: 1003, reserved: 1000}, 3, "to at least 2000", "connections get the other 3"},
		{Descriptors{Limit: 256, reserved: 1000}, 0, "to at least 2000", "connections get the other 0"},
	} {
		if got := c.d.Connections(); got != c.connections {
			t.Errorf("%+v: %d for connections, want %d", c.d, got, c.connections)
		}
		if got := fmt.Sprint(c.d.Refusal()); (got == "<nil>") != (c.refuses == "") || !strings.Contains(got, c.refuses) {
			t.Errorf("%+v: %q", c.d, got)
		}
		if got := c.d.Warning(); (got == "") != (c.warns == "") || !strings.Contains(got, c.warns) {
			t.Errorf("%+v: %q", c.d, got)
		}
	}
	c := configs.Default()
	if got := DescriptorsFor(c).wanted; got != 0 {
		t.Errorf("the defaults want %d", got)
	}
	c.SMTPD.MaxConnections, c.SMTPD.SubmissionListen, c.IMAPD.MaxConnections = 70, nil, 100
	if got, want := DescriptorsFor(c).wanted, int64(2*2*70+4*100); got != want {
		t.Errorf("%d wanted, want %d", got, want)
	}
}
