package check

import (
	"net"
	"net/netip"
	"os"
	"testing"
)

// TestHolds: the process that has a port is found, and one that has not is not it.
func TestHolds(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if held, known := holds(os.Getpid(), port); !held || !known {
			t.Errorf("%s: held %v, known %v", l.Addr(), held, known)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if held, known := holds(os.Getpid(), port); held || !known {
			t.Errorf("%s closed: held %v, known %v", address, held, known)
		}
	}
	if _, known := holds(0, "25"); known {
		t.Error("process 0 is known")
	}
}

// TestIsOwn: what the running instance listens on is free for the next start, also where one of
// the two is the wildcard, as only one of them can be bound.
func TestIsOwn(t *testing.T) {
	t.Parallel()
	own := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:25"), netip.MustParseAddrPort("[::ffff:192.0.2.1]:587"), netip.MustParseAddrPort("[::1]:143"), netip.MustParseAddrPort("[::]:993")}
	for address, want := range map[string]bool{
		"127.0.0.1:25": true, "127.0.0.1:26": false, "127.0.0.2:25": false, "0.0.0.0:25": true, "[::]:25": true, ":25": true, "192.0.2.1:587": true, "192.0.2.2:587": false, "[::1]:143": true,
		"127.0.0.1:143": false, "192.0.2.7:993": true, "[2001:db8::1]:993": true, ":994": false, "unix:lmtp.sock": false, "nonsense": false, "127.0.0.1:nosuchport": false,
	} {
		if got := isOwn(own, address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if isOwn(nil, "127.0.0.1:25") {
		t.Error("of no instance")
	}
}
