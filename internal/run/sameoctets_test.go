package run_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/run"
	"toastmaster/internal/run/initial"
	"toastmaster/internal/testkit/proc"
)

// The ways by which a message comes in. Each has a mailbox of its own.
const (
	bySMTPData = iota
	bySMTPBdat
	byLMTPData
	byLMTPBdat
	byAppend
	wayCount
)

var wayNames = [wayCount]string{"smtp-data", "smtp-bdat", "lmtp-data", "lmtp-bdat", "append"}

const octetsWord = "same octets"

// octets is a whole instance in this process, into which the same message is
// put by every way.
type octets struct {
	c     *configs.Config
	seen  [wayCount]map[string]bool
	count int
}

// newOctets starts the instance; it stops with the test.
func newOctets(t testing.TB) *octets {
	t.Helper()
	dir := t.TempDir()
	ports, err := proc.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Close)
	c, err := initial.Make(t.Context(), initial.Options{Dir: dir, PortBase: ports.Base, Hostname: "mx.test", Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	c.Auth.Argon2Memory, c.Auth.BulkArgon2Memory, c.Auth.Argon2Time = 128<<10, 64<<10, 1
	// Messages go by memory and by file.
	c.Queue.MemoryLimit, c.Store.SpoolMemory = 64<<10, 48<<10
	c.Log.File = "test.log"
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- run.Serve(ctx, run.Options{
			Config: c, Stderr: io.Discard, Getenv: func(string) string { return "" },
			OnReady: func(context.Context) error { close(ready); return nil },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatal(err)
	}
	api := client.NewUnix(c.Path(c.Admin.Socket))
	defer api.Close()
	_, err = api.AddDomain(t.Context(), model.NewDomain{Name: "example.test"})
	for _, name := range wayNames {
		if err == nil {
			word := octetsWord
			_, err = api.AddMailbox(t.Context(), model.NewMailbox{Address: name + "@example.test", MailboxChange: model.MailboxChange{Password: &word}})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	o := &octets{c: c}
	for way := range o.seen {
		o.seen[way] = map[string]bool{}
	}
	return o
}

// randomOctets is a message with a header and a body of anything a mail may
// have: lines of any length, dots, CRs and LFs that stand alone. It ends with
// CR LF, which DATA cannot say otherwise.
func randomOctets(rnd *rand.Rand, id string) []byte {
	m := []byte("Date: Thu, 26 Nov 2026 12:00:00 +0000\r\nFrom: <a@example.net>\r\nMessage-ID: <" + id + "@example.net>\r\nSubject: " + id + "\r\n\r\n")
	size := len(m) + rnd.IntN([]int{100, 5000, 150_000}[rnd.IntN(3)])
	for len(m) < size {
		letter := []byte{byte('a' + rnd.IntN(26))}
		switch rnd.IntN(10) {
		case 0:
			m = append(m, "\r\r\n"[rnd.IntN(3):]...)
		case 1:
			m = append(m, "\r\n.\r\n\n."[rnd.IntN(6):]...)
		case 2:
			m = append(m, bytes.Repeat(letter, rnd.IntN(40_000))...)
		case 3:
			m = append(m, strings.Repeat("\r\n", rnd.IntN(20_000))...)
		default:
			m = append(m, bytes.Repeat(letter, rnd.IntN(78))...)
			m = append(m, "\r\n"...)
		}
	}
	return append(m, "\r\n"...)
}

// onDisk is the message with LF line ends: the plain reading of
// envelope.Content.
func onDisk(wire []byte) []byte {
	var out []byte
	for i, c := range wire {
		if c == '\r' && i+1 < len(wire) && wire[i+1] == '\n' && (i == 0 || wire[i-1] != '\r') {
			continue
		}
		out = append(out, c)
	}
	return out
}

// check sends one message by every way and compares what is stored.
func (o *octets) check(seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, 7))
	o.count++
	message := randomOctets(rnd, fmt.Sprintf("%d.%d", seed, o.count))
	want := onDisk(message)
	for way := range wayCount {
		if err := o.send(rnd, way, message); err != nil {
			return fmt.Errorf("%s: %w", wayNames[way], err)
		}
	}
	var errs []error
	for way := range wayCount {
		if err := o.compare(way, want); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", wayNames[way], err))
		}
	}
	return errors.Join(errs...)
}

// compare reads what came by one way, and compares it but for trace fields.
func (o *octets) compare(way int, want []byte) error {
	got, err := o.stored(way)
	if err != nil {
		return err
	}
	trace := max(len(got)-len(want), 0)
	if rest := got[trace:]; !bytes.Equal(rest, want) {
		return fmt.Errorf("octet %d of %d is another than was sent", firstDifference(rest, want), len(want))
	}
	return onlyTrace(got[:trace])
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// onlyTrace says that a prefix is the trace fields of a delivery.
func onlyTrace(prefix []byte) error {
	for line := range bytes.Lines(prefix) {
		name, _, ok := bytes.Cut(line, []byte(":"))
		known := bytes.Contains([]byte(" Return-Path Delivered-To X-Original-To Received "), append(append([]byte(" "), name...), ' '))
		if line[0] != '\t' && line[0] != ' ' && (!ok || !known) {
			return fmt.Errorf("%q stands before the message", line)
		}
	}
	return nil
}

// stored waits for the message that this way has put into its mailbox, and
// reads its file.
func (o *octets) stored(way int) ([]byte, error) {
	root := filepath.Join(o.c.Path(o.c.Store.Path), "example.test", wayNames[way])
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); <-tick.C {
		for _, sub := range []string{"new", "cur"} {
			entries, err := os.ReadDir(filepath.Join(root, sub))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
			for _, e := range entries {
				if !o.seen[way][e.Name()] {
					o.seen[way][e.Name()] = true
					return os.ReadFile(filepath.Join(root, sub, e.Name()))
				}
			}
		}
	}
	return nil, errors.New("the message does not arrive")
}

// send puts the message in by one way.
func (o *octets) send(rnd *rand.Rand, way int, message []byte) error {
	address := [][]string{o.c.SMTPD.Listen, o.c.SMTPD.Listen, o.c.LMTPD.Listen, o.c.LMTPD.Listen, o.c.IMAPD.Listen}[way][0]
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	s := &octetSession{Conn: nc, rnd: rnd, r: bufio.NewReader(nc), most: []int{1, 40, 1500, 9000, 32 << 10, 1 << 20}[rnd.IntN(6)]}
	if len(message) > 20_000 {
		s.most = max(s.most, 1000) // not minutes
	}
	to := wayNames[way] + "@example.test"
	switch way {
	case bySMTPData, byLMTPData:
		return s.data(way == byLMTPData, to, message)
	case bySMTPBdat, byLMTPBdat:
		return s.bdat(way == byLMTPBdat, to, message)
	}
	return s.append(to, message)
}

// octetSession writes what it sends in pieces of random size.
type octetSession struct {
	net.Conn
	rnd  *rand.Rand
	r    *bufio.Reader
	most int
}

func (s *octetSession) write(b []byte) error {
	for len(b) > 0 {
		n := min(1+s.rnd.IntN(s.most), len(b))
		if _, err := s.Conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// expect reads one reply of SMTP, or a line of IMAP up to one that begins so.
func (s *octetSession) expect(begin string) error {
	for {
		line, err := s.r.ReadString('\n')
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(line, "* ") && !strings.HasPrefix(begin, "* "):
		case len(line) > 3 && line[3] == '-':
		case !strings.HasPrefix(line, begin):
			return fmt.Errorf("%q, want %s", line, begin)
		default:
			return nil
		}
	}
}

// dialogue sends and reads by turns: text, the begin of its answer, text ...
func (s *octetSession) dialogue(steps ...string) error {
	for i := 0; i+1 < len(steps); i += 2 {
		if err := s.write([]byte(steps[i])); err != nil {
			return err
		}
		if err := s.expect(steps[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func hello(lmtp bool) string {
	if lmtp {
		return "LHLO client.test\r\n"
	}
	return "EHLO client.test\r\n"
}

func (s *octetSession) data(lmtp bool, to string, message []byte) error {
	stuffed := bytes.ReplaceAll(message, []byte("\r\n."), []byte("\r\n.."))
	return s.dialogue("", "220", hello(lmtp), "250", "MAIL FROM:<a@example.net>\r\n", "250", "RCPT TO:<"+to+">\r\n", "250",
		"DATA\r\n", "354", string(stuffed)+".\r\n", "250", "QUIT\r\n", "221")
}

// bdat sends the whole transaction at once, in chunks of random size.
func (s *octetSession) bdat(lmtp bool, to string, message []byte) error {
	if err := s.dialogue("", "220", hello(lmtp), "250"); err != nil {
		return err
	}
	session := []byte("MAIL FROM:<a@example.net>\r\nRCPT TO:<" + to + ">\r\n")
	replies := 2
	limit := max([]int{3, 100, 5000, 50_000, 1 << 20}[s.rnd.IntN(5)], len(message)/500)
	for rest := message; len(rest) > 0; replies++ {
		n := min(s.rnd.IntN(limit+1), len(rest))
		last := ""
		if n == len(rest) && s.rnd.IntN(2) == 0 {
			last = " LAST"
		}
		session = append(session, "BDAT "+strconv.Itoa(n)+last+"\r\n"...)
		session = append(session, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 && last == "" {
			session = append(session, "BDAT 0 LAST\r\n"...)
			replies++
		}
	}
	written := make(chan error, 1)
	go func() { written <- s.write(append(session, "QUIT\r\n"...)) }()
	var err error
	for i := 0; i < replies && err == nil; i++ {
		err = s.expect("250")
	}
	if err == nil {
		err = s.expect("221")
	}
	if err != nil {
		_ = s.Close()
	}
	return errors.Join(err, <-written)
}

func (s *octetSession) append(to string, message []byte) error {
	return s.dialogue("", "* OK", "a LOGIN "+to+" \""+octetsWord+"\"\r\n", "a OK",
		fmt.Sprintf("b APPEND INBOX {%d}\r\n", len(message)), "+", string(message)+"\r\n", "b OK", "c LOGOUT\r\n", "c OK")
}

// TestEveryWayKeepsTheOctets is the promise that a message is never altered: by
// whatever command it comes and however TCP cuts it, the same octets are stored.
func TestEveryWayKeepsTheOctets(t *testing.T) {
	t.Parallel()
	o := newOctets(t)
	for seed := range uint64(40) {
		if err := o.check(seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// FuzzEveryWayKeepsTheOctets tries other seeds, for as long as one likes.
func FuzzEveryWayKeepsTheOctets(f *testing.F) {
	f.Add(uint64(1000))
	o := newOctets(f)
	f.Fuzz(func(t *testing.T, seed uint64) {
		if err := o.check(seed); err != nil {
			t.Error(err)
		}
	})
}
