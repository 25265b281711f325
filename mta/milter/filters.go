package milter

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/idle"
	wire "toastmaster/internal/milter"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
)

// Options are what Filters are made of.
type Options struct {
	Params   configs.Milter
	Hostname string // main.hostname
	// MaxBody bounds a body in the place of a message's, in octets.
	MaxBody int64
	// Path is where a relative name of a socket begins; nil leaves names as they are.
	Path func(string) string
	// Spool is the queue's, for messages that filters change.
	Spool *spool.Dir
	Log   *msglog.Log
	Clock clock.Clock
}

// Filters knows all filters that somebody has named, and keeps their connections. It is safe for concurrent use.
type Filters struct {
	o        Options
	usual    [stages][]string // names of macros
	defaults map[string]string
	buffers  sync.Pool // *[]byte, each for a piece of a body

	mu     sync.Mutex
	peers  map[string]*peer
	parsed map[string]List // what tables have said
}

// List are filters that are asked in their order.
type List []*filter

// filter is one of a list.
type filter struct {
	configs.MilterService
	peer          *peer
	version       uint32
	noHeaderReply bool
}

// New makes Filters, which have connected to nobody. The caller closes them.
func New(o Options) *Filters {
	f := &Filters{o: o, peers: map[string]*peer{}, defaults: map[string]string{}, parsed: map[string]List{}}
	m := o.Params.Macros
	f.usual = [stages][]string{m.Connect, m.Helo, m.Mail, m.Rcpt, m.Data, m.EndOfData, m.EndOfHeader, m.Unknown}
	for _, d := range o.Params.MacroDefaults {
		name, value, _ := strings.Cut(d, "=")
		f.defaults[bare(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return f
}

// List is that of a parameter, whose items configs has read.
func (f *Filters) List(items []string) (List, error) {
	var all List
	for _, item := range items {
		list, err := f.Parse(item)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// maxParsed bounds the texts of tables that are remembered. It is no parameter: more are read again.
const maxParsed = 1000

// Parse reads filters as a table has them: as Postfix writes a list, or DISABLE for none.
func (f *Filters) Parse(text string) (List, error) {
	if strings.EqualFold(strings.TrimSpace(text), "DISABLE") {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if list, ok := f.parsed[text]; ok {
		return list, nil
	}
	services, err := configs.ParseMilters(text, f.o.Params.MilterSettings)
	if err != nil {
		return nil, err
	}
	var list List
	for _, s := range services {
		one := &filter{MilterService: s, peer: f.peerOf(s)}
		one.version, one.noHeaderReply = s.Offer()
		list = append(list, one)
	}
	if len(f.parsed) < maxParsed {
		f.parsed[text] = list
	}
	return list, nil
}

// peerOf is the other side of a filter, one for all who speak with it in the same way. f.mu is held.
func (f *Filters) peerOf(s configs.MilterService) *peer {
	network, address := s.Socket()
	if network == "unix" && f.o.Path != nil {
		address = f.o.Path(address)
	}
	key := fmt.Sprintf("%s:%s %s", network, address, s.Protocol)
	p := f.peers[key]
	if p == nil {
		p = &peer{f: f, name: s.Name, network: network, address: address, room: make(chan struct{}, max(f.o.Params.MaxConnections, 1))}
		p.idle = idle.New(idle.Options[*conn]{Clock: f.o.Clock, End: func(c *conn) { _ = c.Close() }})
		f.peers[key] = p
	}
	return p
}

// Close ends the connections that are kept. Sessions end theirs.
func (f *Filters) Close() error {
	f.mu.Lock()
	peers := f.peers
	f.mu.Unlock()
	for _, p := range peers {
		p.idle.Close()
	}
	return nil
}

// chunk lends room for a piece of a body.
func (f *Filters) chunk() *[]byte {
	b, _ := f.buffers.Get().(*[]byte)
	if b == nil {
		room := make([]byte, 0, wire.MaxPacket+pieceHead)
		b = &room
	}
	return b
}

// Lookup is what a macro says, by its name without braces. It is asked while the session is at a command.
type Lookup func(ctx context.Context, name string) (value string, ok bool)

// Session begins the session of a client, or of a message that has none. id is that of the log.
func (f *Filters) Session(list List, id string, lookup Lookup) *Session {
	s := &Session{f: f, id: id, lookup: lookup, links: make([]*link, 0, len(list))}
	for _, one := range list {
		s.links = append(s.links, &link{s: s, filter: one})
	}
	return s
}

var _ envelope.Filter = (*Session)(nil)

// bare is the name of a macro without braces.
func bare(name string) string { return strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}") }

// realNow is for sockets, which live in real time.
func realNow() time.Time { return time.Now() }
