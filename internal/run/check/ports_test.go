package check

import (
	"net"
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
