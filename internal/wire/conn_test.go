package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a TCP connection, both ends.
func pair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// trickle sends an octet a second until the connection ends; stop ends it, and waits.
func trickle(server, client net.Conn) (stop func()) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if _, err := client.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	return func() {
		_ = server.Close()
		<-gone
	}
}

// TestALineHasOneTime: a client that sends one octet now and then does not get
// more time with each. It would hold its place for ever.
func TestALineHasOneTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer trickle(server, client)()
		c := NewConn(server, nil)
		c.ReadTimeout = 5 * time.Minute
		for _, read := range []func() ([]byte, error){c.ReadCommand, c.ReadLine} {
			began := time.Now()
			if _, err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took != c.ReadTimeout {
				t.Errorf("took %v", took)
			}
		}
	})
}

// TestContentEarnsItsTime is the arithmetic of MinRate: what flows goes on, what
// trickles ends.
func TestContentEarnsItsTime(t *testing.T) {
	t.Parallel()
	c := &Conn{ReadTimeout: 10 * time.Second, MinRate: 500}
	now := time.Unix(1000, 0)
	left := func() time.Duration { return c.deadline(now).Sub(now) }
	c.BeginContent()
	for i, step := range []struct {
		waited time.Duration
		octets int
		left   time.Duration
	}{
		{0, 0, 10 * time.Second},
		{9 * time.Second, 500, 2 * time.Second},
		{time.Second, 0, time.Second},
		{0, 1 << 20, 10 * time.Second}, // never more than at the start
		{10 * time.Second, 1, 2 * time.Millisecond},
		{2 * time.Second, 1, -1996 * time.Millisecond},
	} {
		if c.spend(step.waited, step.octets); left() != step.left {
			t.Errorf("step %d: %v left, want %v", i, left(), step.left)
		}
	}
	c.left, c.content = c.ReadTimeout, false
	if c.spend(9*time.Second, 1<<20); left() != time.Second {
		t.Errorf("a command earned time: %v", left())
	}
}

// TestContentOctetByOctetEnds is the same on a connection.
func TestContentOctetByOctetEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer trickle(server, client)()
		c := NewConn(server, nil)
		c.ReadTimeout, c.MinRate = 5*time.Minute, 500
		began := time.Now()
		c.BeginContent()
		if _, err := io.Copy(io.Discard, c.In.Content(Allow)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		// Each of the some 300 octets has bought 2 ms.
		if took := time.Since(began); took < c.ReadTimeout || took > c.ReadTimeout+time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestStressShortensAPresentWait: those who wait already make room, too.
func TestStressShortensAPresentWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer server.Close()
		defer client.Close()
		c := NewConn(server, nil)
		c.ReadTimeout, c.StressTimeout = time.Hour, 10*time.Second
		result := make(chan error, 1)
		go func() {
			_, err := c.ReadCommand()
			result <- err
		}()
		synctest.Wait()
		began := time.Now()
		c.Stress(true)
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > c.StressTimeout {
			t.Errorf("took %v", took)
		}
	})
}

// TestEarly finds what was sent before its time: read already, in the socket,
// or in the TLS layer.
func TestEarly(t *testing.T) {
	t.Parallel()
	for _, over := range []string{"plain", "tls"} {
		for _, early := range []string{"", "x", "one\r\ntwo\r\n"} {
			server, client := pair(t)
			if over == "tls" {
				server, client = overTLS(t, server, client)
			}
			c := NewConn(server, nil)
			if c.Early() {
				t.Errorf("%s: something before anything", over)
			}
			// Two writes: two records.
			for _, part := range []string{"DATA\r\n", early} {
				if _, err := client.Write([]byte(part)); err != nil {
					t.Fatal(err)
				}
			}
			if line, err := c.ReadCommand(); string(line) != "DATA" || err != nil {
				t.Fatalf("%q %v", line, err)
			}
			if got := c.Early(); got != (early != "") {
				t.Errorf("%s, %q: early %v", over, early, got)
			}
			// What is in the socket can be seen before it is read; of TLS, what has been deciphered.
			if seen, some := c.Waiting(); some != (early != "") || string(seen) != early {
				t.Errorf("%s: %q is seen of %q, %v", over, seen, early, some)
			}
			client.Close()
			rest, err := io.ReadAll(restOf(c.In))
			if string(rest) != early || err != nil {
				t.Errorf("%s: %q is left of %q, %v", over, rest, early, err)
			}
		}
	}
}

// overTLS makes the handshake.
func overTLS(t *testing.T, server, client net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- c.Handshake() }()
	if err := errors.Join(s.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	return s, c
}
