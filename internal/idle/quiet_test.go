package idle

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestQuiet: a connection whose other end has gone, or has said something, is not quiet; until then it is.
func TestQuiet(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for name, spoil := range map[string]func(net.Conn) error{
			"closed": net.Conn.Close,
			"said":   func(c net.Conn) error { _, err := c.Write([]byte("x")); return err },
		} {
			near, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			far, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			if !Quiet(near) {
				t.Errorf("%s, %s: not quiet before", network, name)
			}
			if err := spoil(far); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(time.Minute); Quiet(near); { // the kernel takes it over by itself
				if time.Now().After(end) {
					t.Fatalf("%s, %s: it is quiet", network, name)
				}
				time.Sleep(time.Millisecond)
			}
			if name == "said" {
				if n, err := near.Read(make([]byte, 9)); n != 1 || err != nil || !Quiet(near) {
					t.Errorf("%s: %d %v: it was not left to be read", network, n, err)
				}
			}
			_ = near.Close()
			if Quiet(near) {
				t.Errorf("%s: closed here, and quiet", network)
			}
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if !Quiet(a) {
		t.Error("what is no socket")
	}
}
