package imapd

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/directory/static"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
	"toastmaster/mailstore/storetest"
)

// FuzzSession feeds a session with whatever a client may send after log-in.
// It must end, and what it says must be responses with whole literals.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"a SELECT INBOX\r\nb FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE BODY[HEADER.FIELDS (a b)]<1.9>)\r\nc UID FETCH * BODY[1.2.MIME]\r\n",
		"a SELECT INBOX\r\nb SEARCH RETURN (ALL SAVE) OR (NOT 1) TEXT {3+}\r\nabc\r\nc FETCH $ RFC822\r\n",
		"a APPEND INBOX (\\Seen x) \" 1-Jan-2026 00:00:00 +0000\" {5+}\r\na\r\nb\n\r\nb STATUS INBOX (MESSAGES SIZE)\r\n",
		"a LIST (SUBSCRIBED) \"\" (% *) RETURN (STATUS (UNSEEN))\r\nb LSUB {0+}\r\n %\r\nc CREATE &AOk-/x\r\nd RENAME &AOk- y\r\n",
		"a EXAMINE INBOX\r\nb IDLE\r\nDONE\r\nc IDLE\r\nx\r\nd CLOSE\r\n",
		"a SELECT INBOX\r\nb UID STORE 1:* +FLAGS.SILENT (\\Deleted k)\r\nc UID MOVE 1 Trash\r\nd EXPUNGE\r\ne COPY 1:2 INBOX\r\n",
		"a FETCH {99999999999+}\r\n", "a \"\\\r\n* {3}\r\n\x00\xff {1+}\r\n",
	} {
		f.Add([]byte(s))
	}
	srv, store := fuzzServer(f)
	bob := storetest.Account(f, "bob")
	f.Fuzz(func(t *testing.T, input []byte) {
		if err := store.RemoveAccount(t.Context(), bob); err != nil {
			t.Fatal(err)
		}
		for _, m := range []string{plain, mixed, eightBit} {
			if err := store.Deliver(t.Context(), bob, &mailstore.Delivery{Content: envelope.Memory(m)}); err != nil {
				t.Fatal(err)
			}
		}
		var output bytes.Buffer
		srv.ServeConn(t.Context(), memoryConn{w: &output, r: io.MultiReader(
			strings.NewReader("l LOGIN bob@example.test \"\"\r\n"), bytes.NewReader(input),
			// Whatever literal is open is filled, then the session ends.
			strings.NewReader(strings.Repeat("\r\nDONE\r\n", 1200)+"\r\nz LOGOUT\r\n"),
		)})
		if !bytes.Contains(output.Bytes(), []byte("\r\nl OK ")) {
			t.Fatalf("not logged in: %q", output.Bytes())
		}
		checkResponses(t, output.Bytes())
	})
}

// fuzzServer is a server whose sessions cost what the code costs: the disk is
// memory, any password is good, and there is no socket.
func fuzzServer(f *testing.F) (*Server, *mailstore.Store) {
	c := configs.Default()
	c.IMAPD.MaxMessage, c.IMAPD.MaxLiteral, c.IMAPD.MaxUserIP = 4096, 4096, 0
	c.Store.JournalSegment, c.Store.DefaultFolders = 1<<20, []string{"Trash"}
	store, err := mailstore.Open(f.Context(), mailstore.Options{
		Root: "/mail", FS: faultfs.NewDisk(), Clock: clock.System{}, Log: msglog.Discard(), Hostname: "imap.test", Store: c.Store,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := store.Close(); err != nil {
			f.Error(err)
		}
	})
	srv := New(Options{
		Config: c.IMAPD, Store: store, Auth: storetest.Authenticator(f, c), Hostname: "imap.test", Log: msglog.Discard(), Clock: clock.System{},
	})
	box := static.Box("bob@example.test", "").Mailbox
	box.Home = storetest.Account(f, "bob").Home
	srv.gate.Authenticate = func(context.Context, password.Attempt) (directory.Mailbox, error) { return box, nil }
	return srv, store
}

// checkResponses reads the output as lines and literals.
func checkResponses(t *testing.T, b []byte) {
	t.Helper()
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 1 || b[i-1] != '\r' {
			t.Fatalf("no line: %.100q", b)
		}
		lit, _ := literalAt(b[:i-1])
		b = b[i+1:]
		if lit.pending {
			if lit.size > int64(len(b)) {
				t.Fatalf("literal of %d octets, %d left", lit.size, len(b))
			}
			b = b[lit.size:]
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"%", "a/b", false}, {"%", "a", true}, {"a/%", "a/b", true}, {"a*c", "a/b/c", true}, {"a%c", "a/c", false},
		{"inbox", "INBOX", true}, {"in%", "INBOX", true}, {"A", "a", false}, {"", "", true}, {"%%*%a", "xxa", true}, {"a%", "a", true},
		{strings.Repeat("*a", 50), strings.Repeat("a", 500) + "b", false},
	} {
		if got := newPattern(c.pattern, '/').match(c.name); got != c.want {
			t.Errorf("match(%.20q, %.20q) = %v", c.pattern, c.name, got)
		}
	}
}

// memoryConn is a connection from which a client's octets are read, and to
// which the server's are written.
type memoryConn struct {
	net.Conn
	r io.Reader
	w io.Writer
}

func (m memoryConn) Read(p []byte) (int, error)       { return m.r.Read(p) }
func (m memoryConn) Write(p []byte) (int, error)      { return m.w.Write(p) }
func (m memoryConn) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (m memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (m memoryConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzArgs feeds the readers of arguments with lines and literals. Whatever
// they say, drain must leave the reader at the start of a line.
func FuzzArgs(f *testing.F) {
	for i, s := range []string{
		"(FLAGS UID BODY[1.HEADER.FIELDS.NOT ({3+}\r\nabc x)]<1.2>)", "1:*,4,*:2,$", "(\\Seen \\Recent $x)", "\"a\\\"b\" {1+}\r\nx",
		"\" 1-Jan-2026 00:00:00 +0000\"", "(MESSAGES SIZE)", "(\"\" (% {2+}\r\n**) RETURN (STATUS (UNSEEN)))", "{99+}\r\nshort",
	} {
		f.Add(byte(i), []byte(s+"\r\nnext\r\n"))
	}
	f.Fuzz(func(t *testing.T, what byte, input []byte) {
		in := bytes.NewReader(input)
		c := newConn(wire.NewConn(memoryConn{r: in, w: io.Discard}, nil), &wire.Pool{})
		c.In.MaxLine, c.In.Bare = 100, wire.Allow
		line, err := c.ReadCommand()
		if err == wire.ErrTooLong {
			_, line = c.In.Overlong()
		} else if err != nil {
			return
		}
		a := &args{c: c, line: line, room: 50}
		readers := []func(){
			func() { a.fetchItems(10) },
			func() { a.set() },
			func() { a.flagList() },
			func() { a.mailboxName() },
			func() { a.dateTime() },
			func() { a.statusList() },
			func() { a.listPatterns(&listRequest{}, 3, '/') },
			func() { a.appendOptions(time.Time{}) },
			func() { a.returnOptions(&listRequest{}) },
			func() { a.use() },
		}
		readers[int(what)%len(readers)]()
		if a.drain() != nil || c.lost() {
			return
		}
		if read := len(input) - in.Len() - c.In.Buffered(); read > 0 && input[read-1] != '\n' {
			t.Fatalf("in the middle of a line, before %q", input[read:])
		}
	})
}
