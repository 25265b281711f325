package dnstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
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
	// TXT are texts; one that is longer than 255 octets has several strings.
	TXT []string
	NS  []string
	PTR []string
	// TTL is that of all records, and NegativeTTL that of a no, in an SOA record; 0 has none.
	// The key "" of the map is a no for all names that are not there.
	TTL, NegativeTTL uint32
	// NoName answers NXDOMAIN, as for a name that is not in the map.
	NoName bool
	// Fail answers SERVFAIL, Silent nothing at all, Code another code (dnsmessage.RCode).
	Fail, Silent bool
	Code         uint16
	// Truncate answers over UDP with nothing but the TC bit.
	Truncate bool
	// Cut sets the TC bit over TCP, too, and answers with nothing else. Lame answers with nothing at all, neither
	// with authority nor as one who asks others.
	Cut, Lame bool
	// Only is a type ("AAAA") that alone has the trouble; the others are answered.
	Only string
	// Half leaves out where the alias leads to.
	Half bool
	// OldServer answers FORMERR to EDNS.
	OldServer bool
	// Forged sends three datagrams before the answer that are none: with another ID, with
	// another question, and garbage.
	Forged bool
	// Authentic sets AD.
	Authentic bool
}

// Reverse is the name under which the names of an address are.
func Reverse(ip string) string {
	a := netip.MustParseAddr(ip)
	if a.Is4() {
		return labels(a) + ".in-addr.arpa"
	}
	return labels(a) + ".ip6.arpa"
}

// Listed is the name of an address in the zone of a DNS list.
func Listed(ip, zone string) string { return labels(netip.MustParseAddr(ip)) + "." + zone }

// labels are the octets or nibbles of an address, the last one first.
func labels(a netip.Addr) string {
	var out []string
	for _, b := range a.AsSlice() {
		if a.Is4() {
			out = append(out, strconv.Itoa(int(b)))
		} else {
			out = append(out, strconv.FormatUint(uint64(b>>4), 16), strconv.FormatUint(uint64(b&15), 16))
		}
	}
	slices.Reverse(out)
	return strings.Join(out, ".")
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
	return start(t, func(int) string { return "127.0.0.1:0" }, names)
}

// StartForSystem starts a server on port 53 of an address of the loopback network that nobody
// else has, for programs that read resolv.conf(5), which knows no ports. It takes root.
func StartForSystem(t testing.TB, names map[string]Name) *Server {
	t.Helper()
	return start(t, func(try int) string { return fmt.Sprintf("127.53.%d.%d:53", os.Getpid()%250, try+1) }, names)
}

func start(t testing.TB, address func(try int) string, names map[string]Name) *Server {
	t.Helper()
	s := &Server{names: map[string]Name{}, queries: map[string]int{}, conns: map[net.Conn]bool{}}
	for name, n := range names {
		s.Set(name, n)
	}
	if err := s.listen(address); err != nil {
		t.Fatal(err)
	}
	s.wait.Go(s.serveUDP)
	s.wait.Go(s.serveTCP)
	t.Cleanup(s.stop)
	return s
}

// listen opens the same port for both protocols.
func (s *Server) listen(address func(try int) string) error {
	var last error
	for try := range 20 {
		tcp, err := net.Listen("tcp", address(try))
		if err != nil {
			last = err
			continue
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

// Queries is how often a type ("MX", "A", "PTR") of a name was asked for.
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
		for _, answer := range s.answer(buf[:n], true) {
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
		for _, answer := range s.answer(query, false) {
			out := binary.BigEndian.AppendUint16(nil, uint16(len(answer)))
			if _, err := c.Write(append(out, answer...)); err != nil {
				return
			}
		}
	}
}

// answer is what is sent, nothing for silence.
func (s *Server) answer(query []byte, datagram bool) [][]byte {
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
	if !known {
		n.NoName, n.NegativeTTL = true, s.names[""].NegativeTTL
	}
	s.mu.Unlock()
	if n.Only != "" && n.Only != kind {
		n.NoName, n.Fail, n.Silent, n.Code, n.Truncate, n.OldServer, n.Forged = false, false, false, 0, false, false, false
		n.Cut, n.Lame = false, false
	}
	r := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: m.ID, Response: true, Authoritative: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true,
			AuthenticData: n.Authentic,
		},
		Questions: m.Questions,
	}
	no := []dnsmessage.Resource{}
	if n.NegativeTTL > 0 {
		no = append(no, soa(n.NegativeTTL))
	}
	switch {
	case n.Silent:
		return nil
	case n.OldServer && len(m.Additionals) > 0:
		r.RCode = dnsmessage.RCodeFormatError
	case n.Fail:
		r.RCode = dnsmessage.RCodeServerFailure
	case n.Code != 0:
		r.RCode = dnsmessage.RCode(n.Code)
	case n.NoName:
		r.RCode, r.Authorities = dnsmessage.RCodeNameError, no
	case n.Lame:
		r.Authoritative, r.RecursionAvailable = false, false
	case n.Truncate && datagram, n.Cut:
		r.Truncated = true
	default:
		r.Answers = s.records(q.Name, q.Type, 0)
		if len(r.Answers) == 0 {
			r.Authorities = no
		}
	}
	out, err := r.Pack()
	switch {
	case err != nil:
		return nil
	case n.Forged && datagram:
		return append(forged(r), out)
	}
	return [][]byte{out}
}

// forged is what somebody sends who guesses.
func forged(r dnsmessage.Message) [][]byte {
	otherID := r
	otherID.ID++
	otherID.Answers, otherID.RCode = nil, dnsmessage.RCodeNameError
	otherQuestion := r
	otherQuestion.Questions = []dnsmessage.Question{{Name: absolute("other.test"), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	otherQuestion.Answers, otherQuestion.RCode = nil, dnsmessage.RCodeNameError
	first, _ := otherID.Pack()
	second, _ := otherQuestion.Pack()
	return [][]byte{first, second, []byte("garbage")}
}

// soa says how long a no holds.
func soa(ttl uint32) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: absolute("test"), Type: dnsmessage.TypeSOA, Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.SOAResource{NS: absolute("ns.test"), MBox: absolute("hostmaster.test"), MinTTL: ttl},
	}
}

// records follows a CNAME a few steps.
func (s *Server) records(name dnsmessage.Name, kind dnsmessage.Type, depth int) []dnsmessage.Resource {
	s.mu.Lock()
	n := s.names[strings.ToLower(strings.TrimSuffix(name.String(), "."))]
	s.mu.Unlock()
	var out []dnsmessage.Resource
	add := func(t dnsmessage.Type, body dnsmessage.ResourceBody) {
		out = append(out, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Type: t, Class: dnsmessage.ClassINET, TTL: n.TTL}, Body: body,
		})
	}
	if n.CNAME != "" {
		to := absolute(n.CNAME)
		add(dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: to})
		if depth < 8 && !n.Half {
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
			var body dnsmessage.TXTResource
			for len(txt) > 255 {
				body.TXT, txt = append(body.TXT, txt[:255]), txt[255:]
			}
			body.TXT = append(body.TXT, txt)
			add(kind, &body)
		}
	case dnsmessage.TypeNS:
		for _, ns := range n.NS {
			add(kind, &dnsmessage.NSResource{NS: absolute(ns)})
		}
	case dnsmessage.TypePTR:
		for _, ptr := range n.PTR {
			add(kind, &dnsmessage.PTRResource{PTR: absolute(ptr)})
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
