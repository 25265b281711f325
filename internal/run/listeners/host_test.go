package listeners

import (
	"net"
	"net/netip"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/clock"
)

// TestAHostServesWhereItIsBound: a listener that the service manager hands over by its
// name may be bound elsewhere than the configuration says, and mail sent there would come back.
func TestAHostServesWhereItIsBound(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	c.SMTPD.Listen = []string{"127.0.0.1:25", "127.0.0.2:25"}
	c.SMTPD.SubmissionListen, c.SMTPD.SubmissionsListen = []string{"127.0.0.3:587", "unix:submission"}, nil
	in := &Inherited{known: map[string]net.Addr{
		"127.0.0.1:25":  &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 10025},
		"127.0.0.3:587": &net.UnixAddr{Name: "/run/x", Net: "unix"}, "unix:submission": &net.TCPAddr{IP: net.IPv4(127, 0, 0, 4), Port: 10587},
	}}
	h := Host(c, in, clock.System{})
	for address, serves := range map[string]bool{
		"127.0.0.1:10025": true, "127.0.0.1:25": false, "127.0.0.2:25": true, "127.0.0.3:587": false, "127.0.0.4:10587": true,
	} {
		if a := netip.MustParseAddrPort(address); h.Serves(a) != serves {
			t.Errorf("%s: %v", address, !serves)
		}
	}
	if h := Host(c, nil, clock.System{}); !h.Serves(netip.MustParseAddrPort("127.0.0.1:25")) {
		t.Error("the configuration is forgotten")
	}
}
