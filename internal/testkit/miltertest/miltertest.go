package miltertest

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"toastmaster/internal/milter"
)

// Packet is an answer.
type Packet struct {
	Code milter.Reply
	Data []byte
}

// Answer is a packet of texts, each with a NUL.
func Answer(code milter.Reply, texts ...string) Packet { return Packet{code, milter.Strings(texts...)} }

// Numbered is a packet of a number and texts.
func Numbered(code milter.Reply, n uint32, texts ...string) Packet {
	return Packet{code, append(milter.Numbers(n), milter.Strings(texts...)...)}
}

// Raw is a packet of octets.
func Raw(code milter.Reply, data string) Packet { return Packet{code, []byte(data)} }

// Close, as an answer, ends the connection. Silence leaves the command without an answer, and Garbage is sent as it stands.
const (
	Close   milter.Reply = 0
	Silence milter.Reply = 1
	Garbage milter.Reply = 2
)

// Script is what a filter says.
type Script struct {
	// Agreed is the answer to the offer of a protocol; the zero value is version 6, all actions, and answers to everything.
	Agreed milter.Agreement
	// On are the answers to each command of a kind; the last one of several is usually one that ends it. Without there is Continue.
	On map[milter.Command][]Packet
	// By, when it is not nil, answers in the place of On: n counts the commands of the kind in the session, from 1. nil of
	// it is On. What it says to QuitNew nobody waits for; "said" is noted behind it.
	By func(c milter.Command, n int, data []byte) []Packet
}

// Filter is a running filter.
type Filter struct {
	l    net.Listener
	done sync.WaitGroup

	mu       sync.Mutex
	script   Script
	sessions [][]string
	conns    map[net.Conn]bool
	changed  chan struct{}
	closed   bool
}

// Start listens at network and address ("tcp" "127.0.0.1:0").
func Start(network, address string, s Script) (*Filter, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	f := &Filter{l: l, script: s, conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	f.done.Go(f.accept)
	return f, nil
}

// Name is how a milter's list names it.
func (f *Filter) Name() string {
	if f.l.Addr().Network() == "unix" {
		return "unix:" + f.l.Addr().String()
	}
	return "inet:" + f.l.Addr().String()
}

// Play changes the script for the sessions to come, and forgets those that were.
func (f *Filter) Play(s Script) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script, f.sessions = s, nil
}

// Close ends it, with all sessions.
func (f *Filter) Close() {
	f.mu.Lock()
	f.closed = true
	f.l.Close()
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.done.Wait()
}

// Sessions are the packets that came, a line each, of each session in the order of their beginning.
func (f *Filter) Sessions() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([][]string, len(f.sessions))
	for i, s := range f.sessions {
		all[i] = slices.Clone(s)
	}
	return all
}

// Wait waits until done is satisfied with what Sessions gives, or stop is closed.
func (f *Filter) Wait(stop <-chan struct{}, done func([][]string) bool) bool {
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		if done(f.Sessions()) {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		}
	}
}

func (f *Filter) accept() {
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			c.Close()
			return
		}
		f.conns[c] = true
		f.sessions = append(f.sessions, nil)
		s := session{f: f, c: c, n: len(f.sessions) - 1, script: f.script, counts: map[milter.Command]int{}}
		f.mu.Unlock()
		f.done.Go(s.run)
	}
}

type session struct {
	f      *Filter
	c      net.Conn
	n      int
	script Script
	counts map[milter.Command]int
}

func (s *session) run() {
	defer func() {
		s.note("closed")
		s.f.mu.Lock()
		delete(s.f.conns, s.c)
		s.f.mu.Unlock()
		s.c.Close()
	}()
	in := milter.Reader{R: s.c, Max: 1 << 22}
	for {
		code, data, err := in.Next()
		if err != nil {
			return
		}
		c := milter.Command(code)
		s.note(describe(c, data))
		if !s.answer(c, data) {
			return
		}
	}
}

// note keeps a line.
func (s *session) note(line string) {
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.n < len(f.sessions) {
		f.sessions[s.n] = append(f.sessions[s.n], line)
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// answer says false at the end of the session.
func (s *session) answer(c milter.Command, data []byte) bool {
	a := s.script.Agreed
	if a.Version == 0 {
		a.Version, a.Actions = milter.Version, a.Actions|milter.AllActions
	}
	switch c {
	case milter.Quit:
		return false
	case milter.QuitNew:
		if s.script.By == nil {
			return true
		}
		for _, p := range s.script.By(c, 1, data) { // what nobody waits for
			_, _ = s.c.Write(milter.Append(nil, byte(p.Code), p.Data))
		}
		s.note("said")
		return true
	case milter.Macro, milter.Abort:
		return true
	}
	s.counts[c]++
	var packets []Packet
	if s.script.By != nil {
		packets = s.script.By(c, s.counts[c], data)
	}
	if packets == nil {
		packets = s.script.On[c]
	}
	if packets == nil {
		if c == milter.Negotiate {
			_, err := s.c.Write(milter.Append(nil, byte(milter.Negotiate), a.Append(nil)))
			return err == nil
		}
		packets = []Packet{{Code: milter.Continue}}
	}
	if quiet(c, a.Steps) {
		return true
	}
	for _, p := range packets {
		b := milter.Append(nil, byte(p.Code), p.Data)
		switch p.Code {
		case Close:
			return false
		case Silence:
			continue
		case Garbage:
			b = p.Data
		}
		if _, err := s.c.Write(b); err != nil {
			return false
		}
	}
	return true
}

// quiet says that a command has no answer by agreement.
func quiet(c milter.Command, s milter.Steps) bool {
	bit := map[milter.Command]milter.Steps{
		milter.Connect: milter.NoReplyConnect, milter.Helo: milter.NoReplyHelo, milter.Mail: milter.NoReplyMail, milter.Rcpt: milter.NoReplyRcpt,
		milter.Data: milter.NoReplyData, milter.Unknown: milter.NoReplyUnknown, milter.EndOfHeader: milter.NoReplyEndOfHeader, milter.Body: milter.NoReplyBody,
		milter.Header: milter.NoReplyHeader,
	}[c]
	return bit != 0 && s&bit != 0
}

// describe is a packet as a line.
func describe(c milter.Command, data []byte) string {
	switch c {
	case milter.Negotiate:
		var n [3]uint32
		for i := range n {
			n[i], data, _ = milter.CutNumber(data)
		}
		return fmt.Sprintf("O version=%d actions=%#x steps=%#x", n[0], n[1], n[2])
	case milter.Macro:
		if len(data) == 0 {
			return "D empty"
		}
		line := fmt.Sprintf("D for %c", data[0])
		list := texts(data[1:])
		for i := 0; i+1 < len(list); i += 2 {
			line += fmt.Sprintf(" %s=%q", list[i], list[i+1])
		}
		return line
	case milter.Connect:
		name, rest, _ := milter.Cut(data)
		if len(rest) < 3 {
			return fmt.Sprintf("C %q %q", name, rest)
		}
		port := binary.BigEndian.Uint16(rest[1:])
		return fmt.Sprintf("C %q %c port=%d %q", name, rest[0], port, rest[3:])
	case milter.Body:
		if len(data) > 200 {
			return fmt.Sprintf("B %d octets %q...%q", len(data), data[:40], data[len(data)-40:])
		}
		return fmt.Sprintf("B %q", data)
	}
	if len(data) > 500 {
		return fmt.Sprintf("%c %d octets %q...%q", c, len(data), data[:100], data[len(data)-40:])
	}
	return strings.TrimSpace(fmt.Sprintf("%c %q", c, texts(data)))
}

func texts(data []byte) []string {
	var all []string
	for len(data) > 0 {
		text, rest, ok := milter.Cut(data)
		if !ok {
			all = append(all, "unterminated "+text)
		} else {
			all = append(all, text)
		}
		data = rest
	}
	return all
}
