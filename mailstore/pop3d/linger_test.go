package pop3d

import (
	"io"
	"strings"
	"testing"
)

// TestTheLastWordsArrive: a client that sends more than is read hears why the
// session ended, and no reset.
func TestTheLastWordsArrive(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	much := strings.Repeat("x", 4<<20)
	for send, want := range map[string]string{
		much:                             "-ERR Line without end\r\n",
		"\x16" + much:                    "-ERR This is not POP3, or TLS on a port without\r\n",
		strings.Repeat("bad\r\n", 1<<20): "-ERR Unknown command\r\n",
		"QUIT\r\n" + much:                "+OK ",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			for listener := range 2 {
				c := h.client(listener)
				c.send(send)
				said, err := io.ReadAll(c.r)
				if err != nil || !strings.Contains(string(said), want) {
					t.Errorf("listener %d: %.300q, %v", listener, said, err)
				}
			}
		})
	}
}
