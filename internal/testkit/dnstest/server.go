package dnstest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Name is what the server knows about one name. A name it does not know is
// NXDOMAIN; one without the asked type has no data.
type Name struct {
	// MX are "host" with their preference; "." is the null MX.
	MX    []net.MX
	Addrs []string
	CNAME string
	TXT   []string
	// Fail answers SERVFAIL, Silent nothing at all.
	Fail, Silent bool
	// Truncate answers over UDP with nothing but the TC bit.
	Truncate bool
}

// Server answers queries.
type Server struct {
	// Addr is its "127.0.0.1:port".
	Addr string

	udp net.PacketConn
	tcp net.Listener

	mu      sync.Mutex
	names   map[string]Name
	queries map[string]int
	conns   map[net.Conn]bool
	wait    sync.WaitGroup
}

// Start starts a server, which the test's end stops. Names are written
// without the last dot.
func Start(t testing.TB, names map[string]Name) *Server {
	t.Helper()
	s := &Server{names: map[string]Name{}, queries: map[string]int{}, conns: map[net.Conn]bool{}}
	for name, n := range names {
		s.Set(name, n)
	}
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	s.wait.Go(s.serveUDP)
	s.wait.Go(s.serveTCP)
	t.Cleanup(s.stop)
	return s
}

// listen opens the same port for both protocols.
func (s *Server) listen() error {
	var last error
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			s.tcp, s.udp, s.Addr = tcp, udp, tcp.Addr().String()
			return nil
		}
		last = errors.Join(err, tcp.Close())
	}
	return last
}

func (s *Server) stop() {
	s.udp.Close()
	s.tcp.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// Set changes a name.
func (s *Server) Set(name string, n Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[strings.ToLower(name)] = n
}

// Queries is how often a type ("MX", "A", "AAAA") of a name was asked for.
func (s *Server) Queries(name, kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[kind+" "+strings.ToLower(name)]
}

func (s *Server) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := s.answer(buf[:n], true); answer != nil {
			s.udp.WriteTo(answer, from)
		}
	}
}

func (s *Server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wait.Go(func() { s.serveConn(c) })
	}
}

func (s *Server) serveConn(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := s.answer(query, false)
		if answer == nil {
			continue
		}
		out := binary.BigEndian.AppendUint16(nil, uint16(len(answer)))
		if _, err := c.Write(append(out, answer...)); err != nil {
			return
		}
	}
}

// answer is nil for silence.
func (s *Server) answer(query []byte, datagram bool) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	kind := strings.TrimPrefix(q.Type.String(), "Type")
	s.mu.Lock()
	s.queries[kind+" "+name]++
	n, known := s.names[name]
	s.mu.Unlock()
	r := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: m.ID, Response: true, Authoritative: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true,
		},
		Questions: m.Questions,
	}
	switch {
	case n.Silent:
		return nil
	case n.Fail:
		r.RCode = dnsmessage.RCodeServerFailure
	case !known:
		r.RCode = dnsmessage.RCodeNameError
	case n.Truncate && datagram:
		r.Truncated = true
	default:
		r.Answers = s.records(q.Name, q.Type, 0)
	}
	out, err := r.Pack()
	if err != nil {
		return nil
	}
	return out
}

// records follows a CNAME a few steps.
func (s *Server) records(name dnsmessage.Name, kind dnsmessage.Type, depth int) []dnsmessage.Resource {
	s.mu.Lock()
	n := s.names[strings.ToLower(strings.TrimSuffix(name.String(), "."))]
	s.mu.Unlock()
	var out []dnsmessage.Resource
	add := func(t dnsmessage.Type, body dnsmessage.ResourceBody) {
		out = append(out, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Type: t, Class: dnsmessage.ClassINET, TTL: 60}, Body: body,
		})
	}
	if n.CNAME != "" {
		to := absolute(n.CNAME)
		add(dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: to})
		if depth < 8 {
			out = append(out, s.records(to, kind, depth+1)...)
		}
		return out
	}
	switch kind {
	case dnsmessage.TypeMX:
		for _, mx := range n.MX {
			add(kind, &dnsmessage.MXResource{Pref: mx.Pref, MX: absolute(mx.Host)})
		}
	case dnsmessage.TypeTXT:
		for _, txt := range n.TXT {
			add(kind, &dnsmessage.TXTResource{TXT: []string{txt}})
		}
	case dnsmessage.TypeA, dnsmessage.TypeAAAA:
		for _, text := range n.Addrs {
			ip := netip.MustParseAddr(text)
			switch {
			case ip.Is4() && kind == dnsmessage.TypeA:
				add(kind, &dnsmessage.AResource{A: ip.As4()})
			case ip.Is6() && kind == dnsmessage.TypeAAAA:
				add(kind, &dnsmessage.AAAAResource{AAAA: ip.As16()})
			}
		}
	}
	return out
}

func absolute(name string) dnsmessage.Name {
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	return dnsmessage.MustNewName(name)
}
