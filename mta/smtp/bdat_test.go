package smtp

import (
	"fmt"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

func chunkingPeer(t *testing.T, pipelining bool) (*rig, *peer) {
	t.Helper()
	p := newPeer(t, "127.0.0.1:0")
	p.ehlo = []string{"8BITMIME", "CHUNKING"}
	if pipelining {
		p.ehlo = append(p.ehlo, "PIPELINING")
	}
	return newRig(t, p.port, one(), nil), p
}

// TestChunks: a content of any size arrives octet by octet, without dots doubled and with its
// last line ended.
func TestChunks(t *testing.T) {
	t.Parallel()
	for _, pipelining := range []bool{true, false} {
		for _, body := range []string{"", ".\n", ".\r\n..\n", "no end", "a\rb\n", strings.Repeat("0123456789abcde\n", 4096), strings.Repeat(strings.Repeat("x", 77)+"\n", 9000)} {
			t.Run(fmt.Sprint(pipelining, len(body)), func(t *testing.T) {
				t.Parallel()
				r, p := chunkingPeer(t, pipelining)
				p.start()
				r.want(r.deliver(request("remote.test", "Subject: x\n\n"+body, "a@remote.test", "b@remote.test")), dsn.OK, dsn.OK)
				want := strings.ReplaceAll(strings.ReplaceAll("Subject: x\n\n"+body, "\r\n", "\n"), "\r", " ")
				if want = strings.ReplaceAll(want, "\n", "\r\n"); !strings.HasSuffix(want, "\n") {
					want += "\r\n"
				}
				if len(p.messages) != 1 || p.messages[0] != want {
					t.Errorf("got %d messages, the first %.60q of %d octets, want %.60q of %d", len(p.messages), p.messages[0], len(p.messages[0]), want, len(want))
				}
				if len(p.seen("DATA")) != 0 {
					t.Errorf("%q", p.commands)
				}
				for _, c := range p.seen("BDAT") {
					if n, _, _ := bdat(c); n > chunkSize {
						t.Error(c)
					}
				}
			})
		}
	}
}

// TestChunkRefused: a chunk that is refused is the answer for all recipients; nothing more is
// sent, and the session goes on behind RSET.
func TestChunkRefused(t *testing.T) {
	t.Parallel()
	for _, pipelining := range []bool{true, false} {
		t.Run(fmt.Sprint(pipelining), func(t *testing.T) {
			t.Parallel()
			r, p := chunkingPeer(t, pipelining)
			p.answers["BDAT"] = []string{"250 2.0.0 ok", "552 5.3.4 too much", "503 5.5.1 what", "503 5.5.1 what", "503 5.5.1 what", "503 5.5.1 what", "503 5.5.1 what", "503 5.5.1 what"}
			p.resumes = true
			p.start()
			big := "Subject: x\n\n" + strings.Repeat(strings.Repeat("x", 99)+"\n", 20_000)
			r.want(r.deliver(request("remote.test", big, "a@remote.test", "b@remote.test")), dsn.Make(5, 3, 4), dsn.Make(5, 3, 4))
			if n := len(p.seen("BDAT")); n > 2+chunksAhead || !pipelining && n != 2 {
				t.Errorf("%d chunks", n)
			}
			p.mu.Lock()
			p.answers, p.chunks = map[string][]string{}, nil
			p.mu.Unlock()
			r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
			if n, _ := p.count(); n != 1 || len(p.seen("RSET")) != 1 {
				t.Errorf("%d sessions, %q", n, p.seen("RSET"))
			}
		})
	}
}

// TestChunkLost: lost before the last chunk the next host gets the message; behind it nobody
// knows, and nobody gets it in this attempt.
func TestChunkLost(t *testing.T) {
	t.Parallel()
	r, p := chunkingPeer(t, true)
	p.answers["BDAT"] = []string{"drop"}
	p.start()
	got := r.deliver(request("remote.test", hello, "a@remote.test"))
	r.want(got, dsn.BadConnection)
	if n, _ := p.count(); n != 1 || got[0].Site {
		t.Errorf("%d sessions, %+v", n, got[0])
	}
}

// TestDiscardEHLOKeywords: what is discarded is not used.
func TestDiscardEHLOKeywords(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.ehlo = []string{"CHUNKING", "SIZE 100", "DSN"}
	p.start()
	r := newRig(t, p.port, one(), func(c *configs.SMTP, _ *Options) { c.DiscardKeywords = []string{"chunking", "Size", "dsn"} })
	r.want(r.deliver(request("remote.test", strings.Repeat("x", 200)+"\n", "a@remote.test")), dsn.OK)
	if len(p.seen("DATA")) != 1 || len(p.seen("BDAT")) != 0 || strings.Contains(p.seen("MAIL")[0], "SIZE") {
		t.Errorf("%q", p.commands)
	}
}
