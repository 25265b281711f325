package smtpserver

import (
	"bytes"
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"
)

// TestTheLastWordsArrive: a client that sends more than is read hears why the
// session ended, and no reset.
func TestTheLastWordsArrive(t *testing.T) {
	t.Parallel()
	s := testServer(&mailbag{})
	config, client := selfSigned(t)
	s.TLS = config
	address := serve(t, s)
	much := strings.Repeat("x", 4<<20)
	for name, c := range map[string]struct{ send, want string }{
		"endless line":    {much, "\r\n421 4.7.0 mx.test Line without end\r\n"},
		"too many errors": {strings.Repeat("BAD\r\n", 1<<20), "\r\n421 4.7.0 mx.test Too many errors\r\n"},
		"too much junk":   {"EHLO c\r\n" + strings.Repeat("NOOP\r\n", 1<<20), "\r\n421 4.7.0 mx.test Too many commands that lead nowhere\r\n"},
		"behind QUIT":     {"QUIT\r\n" + much, "\r\n221 2.0.0 Bye\r\n"},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				nc := dial(t, address)
				defer nc.Close()
				if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				if secure {
					if _, err := io.WriteString(nc, "EHLO c\r\nSTARTTLS\r\n"); err != nil {
						t.Fatal(err)
					}
					for said := []byte{}; !bytes.Contains(said, []byte("220 2.0.0")); {
						b := make([]byte, 1)
						if _, err := nc.Read(b); err != nil {
							t.Fatal(err)
						}
						said = append(said, b...)
						if bytes.HasSuffix(said, []byte("220 2.0.0")) {
							for b[0] != '\n' {
								if _, err := nc.Read(b); err != nil {
									t.Fatal(err)
								}
							}
						}
					}
					nc = tls.Client(nc, client)
				}
				if _, err := io.WriteString(nc, c.send); err != nil {
					t.Fatal(err)
				}
				said, err := io.ReadAll(nc)
				if err != nil || !strings.HasSuffix("\r\n"+string(said), c.want) {
					t.Errorf("%q, %v", said, err)
				}
			})
		}
	}
}
