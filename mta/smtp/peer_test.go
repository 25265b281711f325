package smtp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostaddr"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/dnstest"
	"toastmaster/mta/agent"
)

// peer is a scripted SMTP server. For each command line it looks for an answer
// and otherwise behaves well.
type peer struct {
	t    testing.TB
	l    net.Listener
	port int

	// lmtp answers the final dot for each recipient, with the texts of answers
	// "<data>" one after the other.
	lmtp     bool
	accepted int
	// resumes: a refused chunk does not end the session.
	resumes  bool
	greeting string
	ehlo     []string // without 250 and the name
	// answers maps a command, as the beginning of its line, to the replies to
	// give one after the other; the last one stays. A reply of "drop" closes the
	// connection, "hang" says nothing until the client goes, "pour" sends
	// text without end.
	answers map[string][]string
	tls     *tls.Config
	// underTLS are the extensions under TLS.
	underTLS []string
	// badTLS answers the handshake with text.
	badTLS bool
	// within is said when 64 KiB of a content have come, one after the other; "silent" reads on.
	within []string
	// pause is between two pieces of 64 KiB of a content.
	pause time.Duration
	// after is called once when the first message was taken.
	after func(net.Conn)
	// atDot is called between the final dot and its answer.
	atDot func()
	// heard is called with each command line, before its answer.
	heard func(line string)

	mu       sync.Mutex
	sessions int
	commands []string
	messages []string
	chunks   []byte
	conns    map[net.Conn]bool
	wait     sync.WaitGroup
	ended    chan struct{}
}

func newPeer(t testing.TB, address string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return peerOn(t, l)
}

func peerOn(t testing.TB, l net.Listener) *peer {
	p := &peer{
		t: t, l: l, port: l.Addr().(*net.TCPAddr).Port, greeting: "220 mx.test ESMTP",
		ehlo: []string{"PIPELINING", "8BITMIME", "SIZE 1000000"}, answers: map[string][]string{}, conns: map[net.Conn]bool{}, ended: make(chan struct{}),
	}
	t.Cleanup(p.stop)
	return p
}

// newPeers are two peers on one port, of 127.0.0.1 and of 127.0.0.2.
func newPeers(t testing.TB) (p, q *peer) {
	t.Helper()
	for {
		p = newPeer(t, "127.0.0.1:0")
		l, err := net.Listen("tcp", "127.0.0.2:"+itoa(p.port))
		if err == nil {
			return p, peerOn(t, l)
		}
		if !errors.Is(err, unix.EADDRINUSE) { // by a program that needs it as little as we do
			t.Fatal(err)
		}
	}
}

// silentPort is a port of 127.0.0.1 on which nobody listens, nor will before the
// test ends: it is bound.
func silentPort(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return name.(*unix.SockaddrInet4).Port
}

// start begins to accept; the script must not be changed afterwards.
func (p *peer) start() *peer {
	p.wait.Go(func() {
		for {
			c, err := p.l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.sessions++
			p.conns[c] = true
			p.mu.Unlock()
			p.wait.Go(func() {
				defer c.Close()
				p.serve(c)
			})
		}
	})
	return p
}

func (p *peer) stop() {
	p.l.Close()
	if p.ended != nil {
		close(p.ended)
	}
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wait.Wait()
}

func (p *peer) answer(line string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := ""
	for key := range p.answers {
		if strings.HasPrefix(line, key) && len(key) > len(best) {
			best = key
		}
	}
	list := p.answers[best]
	if best == "" || len(list) == 0 {
		return "", false
	}
	if len(list) > 1 {
		p.answers[best] = list[1:]
	}
	return list[0], true
}

// say gives a reply; false ends the session.
func (p *peer) say(c net.Conn, r *bufio.Reader, reply string) bool {
	switch reply {
	case "drop":
		return false
	case "hang":
		io.Copy(io.Discard, r)
		return false
	case "deaf": // reads nothing, either
		<-p.ended
		return false
	case "silent":
		return true
	case "nonsense":
		reply = "\x00\xff\x80 <!doctype html>"
	case "long":
		reply = "250 " + strings.Repeat("x", 6000)
	case "refused at length":
		reply = "550 5.7.1 " + strings.Repeat("x", 6000)
	case "pour":
		for {
			if _, err := io.WriteString(c, strings.Repeat("250-x\r\n", 500)); err != nil {
				return false
			}
		}
	case "drip":
		for {
			if _, err := io.WriteString(c, "2"); err != nil {
				return false
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	_, err := io.WriteString(c, reply+"\r\n")
	return err == nil && !strings.HasPrefix(reply, "421")
}

func (p *peer) serve(c net.Conn) {
	r := bufio.NewReader(c)
	secure := false
	if !p.say(c, r, p.greeting) {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		p.mu.Lock()
		p.commands = append(p.commands, line)
		p.mu.Unlock()
		if p.heard != nil {
			p.heard(line)
		}
		if n, last, is := bdat(line); is {
			p.chunk(r, n, last)
		}
		reply, scripted := p.answer(line)
		if !scripted {
			reply = p.usual(line, secure)
		}
		if !p.say(c, r, reply) {
			return
		}
		switch {
		case line == "STARTTLS" && strings.HasPrefix(reply, "220"):
			if p.badTLS {
				r.ReadByte()
				io.WriteString(c, "no TLS at all\r\n")
				return
			}
			if p.tls == nil { // no word more
				io.Copy(io.Discard, c)
				return
			}
			conn := tls.Server(c, p.tls)
			if conn.Handshake() != nil {
				return
			}
			c, r, secure = conn, bufio.NewReader(conn), true
		case strings.HasPrefix(line, "MAIL"):
			p.count1(false)
		case strings.HasPrefix(line, "RCPT") && strings.HasPrefix(reply, "2"):
			p.count1(true)
		case strings.HasPrefix(line, "BDAT"):
			if !strings.HasPrefix(reply, "2") && !p.resumes {
				return
			}
		case line == "DATA" && strings.HasPrefix(reply, "354"):
			if !p.data(c, r) {
				return
			}
		case line == "QUIT":
			return
		}
	}
}

func (p *peer) usual(line string, secure bool) string {
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "EHLO", "LHLO":
		ext := p.ehlo
		if secure {
			ext = append([]string{}, p.underTLS...)
		}
		out := "250"
		if len(ext) > 0 {
			out += "-mx.test"
			for i, e := range ext {
				sep := "-"
				if i == len(ext)-1 {
					sep = " "
				}
				out += "\r\n250" + sep + e
			}
			return out
		}
		return out + " mx.test"
	case "STARTTLS":
		return "220 go ahead"
	case "DATA":
		return "354 go on"
	case "QUIT":
		return "221 2.0.0 bye"
	case "AUTH":
		return "235 2.7.0 welcome"
	}
	return "250 2.1.0 ok"
}

// count1 counts the recipients of a transaction.
func (p *peer) count1(one bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.accepted++; !one {
		p.accepted = 0
	}
}

func bdat(line string) (n int, last, is bool) {
	rest, is := strings.CutPrefix(line, "BDAT ")
	if !is {
		return 0, false, false
	}
	number, word, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	return n, word == "LAST", err == nil
}

// chunk reads one of a message.
func (p *peer) chunk(r *bufio.Reader, n int, last bool) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return // the next read says so
	}
	p.mu.Lock()
	p.chunks = append(p.chunks, b...)
	if last {
		p.messages = append(p.messages, string(p.chunks))
		p.chunks = nil
	}
	p.mu.Unlock()
	if last && p.atDot != nil {
		p.atDot()
	}
}

func (p *peer) data(c net.Conn, r *bufio.Reader) bool {
	var b strings.Builder
	within := p.within
	for {
		if b.Len() >= 64<<10 {
			for _, reply := range within {
				if !p.say(c, r, reply) {
					return false
				}
			}
			within = nil
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		if b.WriteString(line); p.pause > 0 && b.Len()>>16 != (b.Len()-len(line))>>16 {
			time.Sleep(p.pause)
		}
	}
	if p.atDot != nil {
		p.atDot()
	}
	p.mu.Lock()
	p.messages = append(p.messages, b.String())
	replies := 1
	if p.lmtp {
		replies = p.accepted
	}
	p.mu.Unlock()
	for range replies {
		reply, scripted := p.answer("<data>")
		if !scripted {
			reply = "250 2.0.0 queued as 1"
		}
		if !p.say(c, r, reply) {
			return false
		}
	}
	if after := p.after; after != nil {
		p.after = nil
		after(c)
	}
	return true
}

func (p *peer) seen(prefix string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, c := range p.commands {
		if strings.HasPrefix(c, prefix) {
			out = append(out, c)
		}
	}
	return out
}

func (p *peer) count() (sessions, messages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions, len(p.messages)
}

// rig is an agent with a name server.
type rig struct {
	t     testing.TB
	agent *Agent
	dns   *dnstest.Server
}

// newRig makes an agent whose port is that of peers on 127.0.0.1.
func newRig(t testing.TB, port int, names map[string]dnstest.Name, change func(*configs.SMTP, *Options)) *rig {
	t.Helper()
	d := dnstest.Start(t, names)
	c := configs.Default().SMTP
	c.Port = port
	for _, timeout := range []*time.Duration{
		&c.ConnectTimeout, &c.HeloTimeout, &c.StartTLSTimeout, &c.MailTimeout, &c.RcptTimeout, &c.DataInitTimeout,
		&c.DataXferTimeout, &c.DataDoneTimeout, &c.RsetTimeout,
	} {
		*timeout = time.Minute
	}
	o := Options{Hostname: "mail.example.test", Log: msglog.Discard(), Clock: clock.System{}, DNS: dns.New(dns.Options{Servers: []string{d.Addr}})}
	if change != nil {
		change(&c, &o)
	}
	if o.Host == nil {
		o.Host = testHost(t, c, nil)
	}
	o.Params = c
	a, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return &rig{t: t, agent: a, dns: d}
}

// testHost is a host with the interface 203.0.113.5 and the given listeners.
func testHost(t testing.TB, c configs.SMTP, listeners []hostaddr.Listener) *hostaddr.Host {
	t.Helper()
	o := hostaddr.Options{Listeners: listeners, Clock: clock.System{}, Interfaces: func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(203, 0, 113, 5), Mask: net.CIDRMask(24, 32)}}, nil
	}}
	for _, s := range c.OwnAddresses {
		o.Proxy = append(o.Proxy, netip.MustParseAddr(s))
	}
	return hostaddr.New(o)
}

// one is a domain whose MX is 127.0.0.1.
func one() map[string]dnstest.Name {
	return map[string]dnstest.Name{
		"remote.test": {MX: []net.MX{{Host: "mx.remote.test", Pref: 10}}}, "mx.remote.test": {Addrs: []string{"127.0.0.1"}},
	}
}

func rcpt(list ...string) []envelope.Recipient {
	var out []envelope.Recipient
	for _, s := range list {
		a, err := addr.Parse(s)
		if err != nil {
			panic(err)
		}
		out = append(out, envelope.Recipient{Address: a, Original: a})
	}
	return out
}

func request(nexthop, text string, to ...string) *agent.Request {
	r := &agent.Request{
		Envelope: &envelope.Envelope{ID: "ID1", Sender: addr.Address{Local: "s", Domain: "example.test"}, Recipients: rcpt(to...)},
		Content:  envelope.Memory(text), Nexthop: nexthop,
	}
	for i := range to {
		r.Recipients = append(r.Recipients, i)
	}
	return r
}

const hello = "Subject: hello\n\nhello\n.dot\n"

// deliver returns the results by recipient and checks that none is doubled.
func (r *rig) deliver(q *agent.Request) map[int]agent.Result {
	r.t.Helper()
	out := map[int]agent.Result{}
	r.agent.Deliver(r.t.Context(), q, func(res agent.Result) {
		if _, twice := out[res.Recipient]; twice {
			r.t.Errorf("recipient %d reported twice", res.Recipient)
		}
		out[res.Recipient] = res
	})
	return out
}

func status(r agent.Result) dsn.Status {
	if r.Err != nil {
		return r.Err.Status
	}
	return dsn.OK
}

// want compares the statuses of all recipients.
func (r *rig) want(got map[int]agent.Result, want ...dsn.Status) {
	r.t.Helper()
	if len(got) != len(want) {
		r.t.Fatalf("%d results, want %d: %v", len(got), len(want), got)
	}
	for i, s := range want {
		if status(got[i]) != s {
			r.t.Errorf("recipient %d: %v (%v), want %v", i, status(got[i]), got[i].Err, s)
		}
	}
}

// certificate makes a self-signed certificate for a name.
func certificate(t testing.TB, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func (p *peer) nexthop() string { return fmt.Sprintf("[127.0.0.1]:%d", p.port) }

func netAddr(t testing.TB, ip string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddr(ip)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(a, 25)
}

// decode64 is what AUTH PLAIN says.
func decode64(t testing.TB, command string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(command[strings.LastIndexByte(command, ' ')+1:])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
