package filtertest

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mark is the field that the filter puts on top of each message.
const Mark = "X-Filtered: yes"

// Options are what a Filter does.
type Options struct {
	// Listen is its address, "127.0.0.1:0" when it is empty.
	Listen string
	// Name is what it calls itself.
	Name string
	// Next is the server that gets the messages; "" throws them away, with 250.
	Next string
	// Keywords are those of EHLO without a Next.
	Keywords []string
	// On, which may be nil, is asked about each command, and at the end of a message about ".": a reply, "close" for
	// the end of the connection, or "" for what Next says.
	On func(command string) string
}

// Filter is one that runs. Its methods are safe for concurrent use.
type Filter struct {
	l    net.Listener
	o    Options
	done sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{}
	conns    map[net.Conn]bool
	sessions [][]string
	messages []Message
}

// Message is one that came whole.
type Message struct {
	// Text is without dots and with LF.
	Text string
	// Accepted says that Next has taken it, Lost that nobody knows.
	Accepted, Lost bool
}

// Start starts one. Close it.
func Start(o Options) (*Filter, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, err
	}
	f := &Filter{l: l, o: o, conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	f.done.Add(1)
	go func() {
		defer f.done.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n, ok := f.begin(c)
			if !ok {
				c.Close()
				continue
			}
			f.done.Add(1)
			go func() {
				defer f.done.Done()
				defer f.end(c)
				(&session{f: f, n: n, c: c, in: bufio.NewReader(c)}).run()
			}()
		}
	}()
	return f, nil
}

// Addr is where it listens.
func (f *Filter) Addr() string { return f.l.Addr().String() }

// Close ends it, and what is under way.
func (f *Filter) Close() {
	f.l.Close()
	f.mu.Lock()
	for c := range f.conns {
		c.Close()
	}
	f.conns = nil
	f.mu.Unlock()
	f.done.Wait()
}

// Script sets what is said from now on.
func (f *Filter) Script(on func(command string) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.o.On = on
}

// Sessions are the commands of each connection, with "." for a message, and "closed" at the end.
func (f *Filter) Sessions() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all [][]string
	for _, s := range f.sessions {
		all = append(all, slices.Clone(s))
	}
	return all
}

// Messages are those that came whole, in order.
func (f *Filter) Messages() []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.messages)
}

// Forget forgets sessions and messages that are over.
func (f *Filter) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions, f.messages = nil, nil
}

// Changed is closed at the next thing that happens.
func (f *Filter) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *Filter) happened() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Filter) begin(c net.Conn) (*[]string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns == nil {
		return nil, false
	}
	f.conns[c] = true
	return new([]string), true
}

func (f *Filter) end(c net.Conn) {
	c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// session is a connection.
type session struct {
	f    *Filter
	n    *[]string // what was said
	at   int       // its place in f.sessions, 1-based
	c    net.Conn
	in   *bufio.Reader
	next net.Conn
	back *bufio.Reader
}

// note keeps a command.
func (s *session) note(command string) (reply string) {
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	*s.n = append(*s.n, command)
	if s.at == 0 || s.at > len(f.sessions) {
		f.sessions = append(f.sessions, nil)
		s.at = len(f.sessions)
	}
	f.sessions[s.at-1] = *s.n
	f.happened()
	if f.o.On != nil && command != "closed" {
		return f.o.On(command)
	}
	return ""
}

func (s *session) run() {
	defer func() {
		if s.next != nil {
			s.next.Close()
		}
		if len(*s.n) > 0 {
			s.note("closed")
		}
	}()
	if s.f.o.Next != "" {
		var err error
		if s.next, err = net.DialTimeout("tcp", s.f.o.Next, time.Minute); err != nil {
			fmt.Fprintf(s.c, "421 4.3.0 %s no next server\r\n", s.f.o.Name)
			return
		}
		s.back = bufio.NewReader(s.next)
		if greeting, ok := s.answer(); !ok || !strings.HasPrefix(greeting, "220") {
			fmt.Fprintf(s.c, "421 4.3.0 %s the next server does not serve\r\n", s.f.o.Name)
			return
		}
	}
	fmt.Fprintf(s.c, "220 %s ESMTP filter\r\n", s.f.o.Name)
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if !s.command(line) {
			return
		}
	}
}

// answer is a reply of the next server, with its line ends.
func (s *session) answer() (string, bool) {
	all := ""
	for {
		line, err := s.back.ReadString('\n')
		if err != nil {
			return "", false
		}
		if all += line; len(line) < 4 || line[3] != '-' {
			return all, true
		}
	}
}

// ask is what the next server says to a command, or one of a script.
func (s *session) ask(command, scripted string) (string, bool) {
	switch {
	case scripted == "close":
		return "", false
	case scripted != "":
		return scripted + "\r\n", true
	case s.next == nil:
		return s.own(command), true
	}
	if _, err := fmt.Fprintf(s.next, "%s\r\n", command); err != nil {
		return "", false
	}
	return s.answer()
}

// own is what a filter without a next server says.
func (s *session) own(command string) string {
	verb, _, _ := strings.Cut(strings.ToUpper(command), " ")
	switch verb {
	case "EHLO":
		text := ""
		for _, line := range append([]string{s.f.o.Name}, s.f.o.Keywords...) {
			text += "250-" + line + "\r\n"
		}
		i := strings.LastIndex(text, "250-")
		return text[:i] + "250 " + text[i+4:]
	case "DATA":
		return "354 go on\r\n"
	case "QUIT":
		return "221 2.0.0 bye\r\n"
	}
	return "250 2.0.0 Ok\r\n"
}

func (s *session) command(line string) (goesOn bool) {
	scripted := s.note(line)
	verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
	reply, ok := s.ask(line, scripted)
	if !ok {
		return false
	}
	if verb == "EHLO" && scripted == "" && s.next != nil {
		// It is called by its own name.
		first, rest, _ := strings.Cut(reply, "\r\n")
		reply = first[:4] + s.f.o.Name + "\r\n" + rest
	}
	if _, err := s.c.Write([]byte(reply)); err != nil {
		return false
	}
	if verb == "DATA" && strings.HasPrefix(reply, "354") {
		return s.content()
	}
	return verb != "QUIT"
}

// content takes a message whole, hands it on, and says what becomes of it.
func (s *session) content() (goesOn bool) {
	var lines []string
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line = strings.TrimRight(line, "\r\n"); line == "." {
			break
		}
		lines = append(lines, line)
	}
	m := Message{}
	for _, l := range lines {
		m.Text += strings.TrimPrefix(l, ".") + "\n"
	}
	scripted := s.note(".")
	reply, ok := "", false
	switch {
	case scripted != "" || s.next == nil:
		if s.next != nil { // it waits for content that it never gets
			s.next.Close()
			s.next = nil
		}
		reply, ok = s.ask(".", scripted)
		m.Accepted = s.next == nil && scripted == ""
	default:
		_, err := fmt.Fprintf(s.next, "%s\r\n%s\r\n.\r\n", Mark, strings.Join(lines, "\r\n"))
		if err == nil {
			reply, ok = s.answer()
		}
		m.Accepted, m.Lost = ok && strings.HasPrefix(reply, "250"), !ok
	}
	f := s.f
	f.mu.Lock()
	f.messages = append(f.messages, m)
	f.happened()
	f.mu.Unlock()
	if !ok {
		return false
	}
	_, err := s.c.Write([]byte(reply))
	return err == nil
}
