package imapd

import (
	"io"
	"strings"
	"testing"
)

// TestTheLastWordsArrive: a client that sends more than is read hears why the
// session ended, and no reset.
func TestTheLastWordsArrive(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.MaxLiteral, h.config.IMAPD.MaxDiscard = 1<<20, 1<<20 })
	much := strings.Repeat("x", 4<<20)
	for send, want := range map[string]string{
		much:                               "* BYE Command is too large\r\n",
		"\x16" + much:                      "* BYE This is not IMAP, or TLS on a port without\r\n",
		strings.Repeat("a bad\r\n", 1<<20): "* BYE Too many invalid commands\r\n",
		strings.Repeat("a LOGIN alice@example.test bad\r\n", 1<<17): "* BYE Too many failed log-ins\r\n",
		"a LOGIN alice@example.test \"secret word\"\r\n" + much:     "* BYE Command is too large\r\n",
		"a LOGOUT\r\n" + much: "a OK Logout completed\r\n",
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
