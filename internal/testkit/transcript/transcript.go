package transcript

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Options tell how to run dialogues.
type Options struct {
	// Dial opens the connection of one dialogue; name is the file's without
	// its extension.
	Dial func(t *testing.T, name string) net.Conn
	// Host, instead of Dial, makes a host for one dialogue; dial opens each of its
	// connections.
	Host func(t *testing.T, name string) (dial func() net.Conn)
	// TLS is the client's side of a TLS line.
	TLS *tls.Config
	// Vars replaces ${name}.
	Vars map[string]string
	// Timeout bounds each wait for the server; a minute when zero.
	Timeout time.Duration
}

// RunDir runs every *.txt file of a folder as a parallel subtest.
func RunDir(t *testing.T, dir string, o Options) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues in %s (%v)", dir, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			Run(t, name, string(text), o)
		})
	}
}

// Run runs one dialogue.
func Run(t *testing.T, name, text string, o Options) {
	t.Helper()
	steps, err := parse(text, o.Vars)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	d := &dialogue{t: t, o: o, players: map[int]*player{}}
	d.dial = func() net.Conn { return o.Dial(t, name) }
	if o.Host != nil {
		d.dial = o.Host(t, name)
	}
	defer d.close()
	for _, s := range steps {
		if err := d.player(s.conn).play(s); err != nil {
			t.Fatalf("%s:%d: %s\n%v\ndialogue so far:\n%s", name, s.line, s, err, d.log.String())
		}
	}
}

// dialogue is a dialogue in progress, with its connections.
type dialogue struct {
	t       *testing.T
	o       Options
	dial    func() net.Conn
	players map[int]*player
	present *player
	log     strings.Builder
}

// player is who plays the lines of a connection, which is opened by its first one.
// What another has to say is sent before.
func (d *dialogue) player(n int) *player {
	p := d.players[n]
	if p == nil {
		conn := d.dial()
		p = &player{o: d.o, conn: conn, in: bufio.NewReader(conn), log: &d.log}
		if n > 0 {
			p.number = fmt.Sprint(n)
		}
		d.players[n] = p
	}
	if d.present != nil && d.present != p {
		if err := d.present.send(); err != nil {
			d.t.Fatal(err)
		}
	}
	d.present = p
	return p
}

func (d *dialogue) close() {
	for _, p := range d.players {
		_ = p.conn.Close()
	}
}

// player is one connection of a dialogue.
type player struct {
	number string // of the connection, "" for the first
	o      Options
	conn   net.Conn
	in     *bufio.Reader
	unsent []byte
	skip   bool // the last step was "S: ..."
	log    *strings.Builder
}

func (p *player) play(s step) error {
	if s.kind == client {
		p.unsent = append(p.unsent, s.text...)
		return nil
	}
	if err := p.send(); err != nil {
		return err
	}
	switch s.kind {
	case startTLS:
		secured := tls.Client(p.conn, p.o.TLS)
		if err := secured.Handshake(); err != nil {
			return err
		}
		p.conn, p.in = secured, bufio.NewReader(secured)
		return nil
	case anyLines:
		p.skip = true
		return nil
	}
	return p.expect(s)
}

func (p *player) send() error {
	if len(p.unsent) == 0 {
		return nil
	}
	fmt.Fprintf(p.log, "C%s: %.200q\n", p.number, p.unsent)
	if err := p.conn.SetDeadline(time.Now().Add(p.o.Timeout)); err != nil {
		return err
	}
	// A server that has heard enough may close before it has read all; what
	// it says matters, not whether we could finish.
	_, err := p.conn.Write(p.unsent)
	if err != nil {
		fmt.Fprintf(p.log, "(write: %v)\n", err)
	}
	p.unsent = p.unsent[:0]
	return nil
}

func (p *player) expect(s step) error {
	for {
		if err := p.conn.SetDeadline(time.Now().Add(p.o.Timeout)); err != nil {
			return err
		}
		line, err := p.in.ReadString('\n')
		if s.kind == serverEnd {
			if err == nil {
				return fmt.Errorf("the server still speaks: %q", line)
			}
			return notTimeout(err)
		}
		if err != nil {
			return fmt.Errorf("waiting for the server: %w", err)
		}
		fmt.Fprintf(p.log, "S%s: %q\n", p.number, line)
		line, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			return fmt.Errorf("a line without CR LF")
		}
		if match(s.text, line) {
			p.skip = false
			return nil
		}
		if !p.skip {
			return fmt.Errorf("the server said %q", line)
		}
	}
}

func notTimeout(err error) error {
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return fmt.Errorf("the server did not close: %w", err)
	}
	return nil
}

// match compares with * for any text.
func match(pattern, s string) bool {
	head, tail, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	for i := len(head); i <= len(s); i++ {
		if match(tail, s[i:]) {
			return true
		}
	}
	return false
}
