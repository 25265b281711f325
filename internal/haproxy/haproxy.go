package haproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// ErrNoHeader is for what is no header of the PROXY protocol.
var ErrNoHeader = errors.New("no header of the PROXY protocol")

const (
	// signature begins a header of version 2.
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	// begin begins one of version 1, which has at most maxText octets with its line end.
	begin   = "PROXY "
	maxText = 107
	// MaxHeader is the most that may follow the first 16 octets of version 2, in octets: addresses and TLVs. It is no
	// parameter: what proxies send has a few hundred.
	MaxHeader = 4096
)

// Header is what a header tells.
type Header struct {
	// Local says that the proxy speaks for itself.
	Local bool
	// From is the client, To what it connected to; zero when the header does not tell.
	From, To netip.AddrPort
}

// Accept reads the header of a connection, and returns the connection as it tells. How long that may take is the
// caller's to say, with a deadline for reads. After an error nc is of no use; it is not closed.
func Accept(nc net.Conn) (net.Conn, error) {
	h, err := Read(nc)
	if err != nil {
		return nil, err
	}
	switch {
	case h.Local:
		return nc, nil
	case !h.From.IsValid():
		h.From = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		h.To = netip.AddrPort{}
	}
	c := told{Conn: nc, remote: net.TCPAddrFromAddrPort(h.From), local: nc.LocalAddr()}
	if h.To.IsValid() {
		c.local = net.TCPAddrFromAddrPort(h.To)
	}
	if raw, ok := nc.(syscall.Conn); ok {
		return &toldSocket{c, raw}, nil
	}
	return &c, nil
}

// told is a connection with other addresses.
type told struct {
	net.Conn
	remote, local net.Addr
}

// RemoteAddr is the client.
func (c *told) RemoteAddr() net.Addr { return c.remote }

// LocalAddr is what the client connected to.
func (c *told) LocalAddr() net.Addr { return c.local }

// CloseWrite ends what is sent, where the connection can.
func (c *told) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// toldSocket is one with a socket below.
type toldSocket struct {
	told
	raw syscall.Conn
}

// SyscallConn is the socket below.
func (c *toldSocket) SyscallConn() (syscall.RawConn, error) { return c.raw.SyscallConn() }

// Read reads a header, and nothing behind it.
func Read(r io.Reader) (Header, error) {
	var buf [16]byte
	// No header of version 1 is shorter than "PROXY UNKNOWN" and its line end.
	if _, err := io.ReadFull(r, buf[:len(signature)]); err != nil {
		return Header{}, cut(err)
	}
	switch first := buf[:len(signature)]; {
	case string(first) == signature:
		return readBinary(r, buf[:])
	case bytes.HasPrefix(first, []byte(begin)):
		return readText(r, first)
	}
	return Header{}, ErrNoHeader
}

// cut makes the end of the connection in a header an error that says so.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the connection has ended", ErrNoHeader)
	}
	return err
}

// readText reads version 1, octet by octet up to its line end.
func readText(r io.Reader, first []byte) (Header, error) {
	line := append(make([]byte, 0, maxText), first...)
	for !bytes.HasSuffix(line, []byte("\n")) {
		if len(line) == maxText {
			return Header{}, fmt.Errorf("%w: a line of more than %d octets", ErrNoHeader, maxText)
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return Header{}, cut(err)
		}
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return Header{}, fmt.Errorf("%w: a line end without CR", ErrNoHeader)
	}
	return parseText(text)
}

// parseText reads "PROXY TCP4 source destination port port".
func parseText(text string) (h Header, err error) {
	words := strings.Split(text, " ")
	if len(words) >= 2 && words[1] == "UNKNOWN" {
		return h, nil // what follows is not to be looked at
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return h, ErrNoHeader
	}
	from, ok1 := endpoint(words[1] == "TCP4", words[2], words[4])
	to, ok2 := endpoint(words[1] == "TCP4", words[3], words[5])
	if !ok1 || !ok2 {
		return h, fmt.Errorf("%w: an address or port that is none", ErrNoHeader)
	}
	return Header{From: from, To: to}, nil
}

// endpoint reads an address and a port.
func endpoint(four bool, address, port string) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(address)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || ip.Is4() != four || ip.Zone() != "" || port[0] == '0' && len(port) > 1 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}

// readBinary reads version 2 behind its signature; buf has room for the first 16 octets.
func readBinary(r io.Reader, buf []byte) (h Header, err error) {
	if _, err := io.ReadFull(r, buf[len(signature):]); err != nil {
		return h, cut(err)
	}
	version, command := buf[12]>>4, buf[12]&15
	n := int(binary.BigEndian.Uint16(buf[14:]))
	switch {
	case version != 2 || command > 1:
		return h, fmt.Errorf("%w: version %d, command %d", ErrNoHeader, version, command)
	case n > MaxHeader:
		return h, fmt.Errorf("%w: %d octets, more than %d", ErrNoHeader, n, MaxHeader)
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(r, rest); err != nil {
		return h, cut(err)
	}
	if command == 0 {
		return Header{Local: true}, nil
	}
	size := 0
	switch buf[13] {
	case 0x11: // TCP over IPv4
		size = 4
	case 0x21: // TCP over IPv6
		size = 16
	default:
		return h, nil
	}
	if n < 2*size+4 {
		return h, fmt.Errorf("%w: %d octets are too few for two addresses", ErrNoHeader, n)
	}
	at := func(address, port int) netip.AddrPort {
		ip, _ := netip.AddrFromSlice(rest[address : address+size])
		return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(rest[2*size+port:]))
	}
	return Header{From: at(0, 0), To: at(size, 2)}, nil
}
