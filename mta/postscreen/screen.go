package postscreen

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/diskcache"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/wire"
)

// Options are what a Screen is made of.
type Options struct {
	Params   configs.Postscreen
	Hostname string         // main.hostname
	Trusted  []netip.Prefix // main.trusted_networks
	// Table opens a table of the access list and of dnsbl_reply_map.
	Table func(name string) (tables.Table, error)
	// DNS is asked about lists; it may be nil when there are none.
	DNS *dns.Resolver
	// Cache keeps who passed. Its owner runs it.
	Cache *diskcache.Cache
	// Next gets the connections of who passed.
	Next service.Handler
	// TLS is for STARTTLS of the dummy engine; nil does not offer it.
	TLS              *tls.Config
	HandshakeTimeout time.Duration // tls.handshake_timeout
	// Footer is smtpd's (smtpd.reject_footer); may be nil.
	Footer func(c *smtpserver.Conn, e *dsn.Error) string
	// SoftBounce is main.soft_bounce.
	SoftBounce      bool
	MaxMessageBytes int64 // what the dummy engine announces: smtpd.message_size_limit

	Log   *msglog.Log
	Clock clock.Clock
}

// Screen tests clients. It is safe for concurrent use, starts nothing that outlives a
// connection, and needs no Close.
type Screen struct {
	o          Options
	banner     string
	access     []rule
	interfaces []configs.Interface
	lists      []list
	names      []tables.Table // dnsbl_reply_map
	engine     *smtpserver.Server
	room       room
	// asking is how many questions to lists are open.
	asking atomic.Int64
}

// New makes a Screen; its error is that of a parameter.
func New(o Options) (*Screen, error) {
	s := &Screen{
		o: o, banner: strings.ReplaceAll(o.Params.GreetBanner, "$myhostname", o.Hostname),
		room: room{limit: o.Params.PreQueueLimit, log: o.Log, visits: map[*visit]struct{}{}},
	}
	for _, text := range o.Params.AllowlistInterfaces {
		i, err := configs.ParseInterface(text)
		if err != nil {
			return nil, fmt.Errorf("postscreen.allowlist_interfaces: %w", err)
		}
		s.interfaces = append(s.interfaces, i)
	}
	for _, text := range o.Params.DNSBLSites {
		site, err := configs.ParseDNSBLSite(text)
		if err != nil {
			return nil, fmt.Errorf("postscreen.dnsbl_sites: %w", err)
		}
		s.addSite(site)
	}
	for _, name := range o.Params.DNSBLReplyMap {
		t, err := o.Table(name)
		if err != nil {
			return nil, fmt.Errorf("postscreen.dnsbl_reply_map: %s: %w", name, err)
		}
		s.names = append(s.names, t)
	}
	var err error
	if s.access, err = s.rules(); err != nil {
		return nil, err
	}
	s.engine = s.dummy()
	return s, nil
}

// visit is one connection; it belongs to the goroutine that serves it.
type visit struct {
	s       *Screen
	nc      net.Conn
	session string
	client  netip.Addr
	port    int
	// began is when the connection, or the tests after the greeting, began.
	began time.Time
	// old says that the client is remembered. passed is until when it has passed each test, todo
	// are those that it must make now, won those of any that it passed in this session.
	old       bool
	passed    [tests]time.Time
	todo, won set
	// lost says that nothing of this session is remembered: a failure that is enforced, or a
	// veto of allowlist_interfaces.
	lost bool
	// talked says that it did not wait for the greeting, refusal is what every recipient
	// is refused with; nil while nothing that is enforced failed.
	talked  bool
	refusal *dsn.Error
	lists   *answers

	// stressed (by the service) and hurried (by the room) shorten the wait, draining ends it; news
	// tells whoever waits. conn is that of the dummy engine, which the room hurries, too; it is
	// the room's to read and change.
	stressed, hurried, draining atomic.Bool
	news                        chan struct{}
	conn                        *smtpserver.Conn
	handedOn                    bool
}

// ServeConn tests a client, and hands it on.
func (s *Screen) ServeConn(ctx context.Context, nc net.Conn) {
	client := service.ClientAddr(nc)
	if _, ok := nc.(syscall.Conn); !ok || !client.IsValid() {
		s.o.Next.ServeConn(ctx, nc)
		return
	}
	v := &visit{
		s: s, nc: nc, client: client, session: service.SessionID(ctx), began: s.o.Clock.Now(),
		lists: noAnswers(), news: make(chan struct{}, 1),
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		v.port = a.Port
	}
	v.log(msglog.Screened{Result: "CONNECT", Text: local(nc)})
	defer func() { v.lists.end() }()
	v.screen(service.WithSessionID(ctx, v.session))
	if !v.handedOn {
		v.log(msglog.Screened{Result: "DISCONNECT"})
	}
}

// local is the address of the server as Postfix writes it.
func local(nc net.Conn) string {
	if a, ok := nc.LocalAddr().(*net.TCPAddr); ok {
		return fmt.Sprintf("[%s]:%d", a.AddrPort().Addr().Unmap(), a.Port)
	}
	return ""
}

// screen takes the client from one room to the next.
func (v *visit) screen(ctx context.Context) {
	switch v.s.listed(ctx, v.client) {
	case permit:
		v.handOver(ctx, "ALLOWLISTED")
		return
	case reject:
		e := dsn.New(dsn.Make(5, 3, 2), "Service currently unavailable").WithCode(550)
		if v.fail(ctx, msglog.Screened{Result: "DENYLISTED"}, v.s.o.Params.DenylistAction, e) {
			return
		}
	}
	if v.refusal == nil {
		v.recall()
	}
	v.todo = v.s.todo(v.passed, v.s.o.Clock.Now())
	if v.refusal == nil && !v.todo.any() {
		v.handOver(ctx, "PASS OLD")
		return
	}
	if veto := !v.s.canPassAt(v.nc.LocalAddr()); veto {
		v.log(msglog.Screened{Result: "ALLOWLIST VETO"})
		v.lost = true
	}
	if !v.test(ctx) {
		return
	}
	v.conclude()
	v.handOver(ctx, "")
}

// test makes the tests that are to be made. true: the client is handed on.
func (v *visit) test(ctx context.Context) bool {
	if !v.s.room.enter(v) {
		v.log(msglog.Screened{Result: "BUSY"})
		v.say(ctx, dsn.New(dsn.ShuttingDown, "All screening ports are busy").WithCode(421))
		return false
	}
	defer v.s.room.leave(v)
	if (v.todo[pregreet] || v.todo[dnsbl]) && !v.early(ctx) {
		return false
	}
	if v.refusal == nil && !v.lost && !v.deepToDo() {
		return true
	}
	v.converse(ctx)
	return false
}

// deepToDo says that a test after the greeting remains.
func (v *visit) deepToDo() bool {
	for _, t := range []test{pipelining, nonSMTP, bareNewline} {
		if v.todo[t] && !v.won[t] {
			return true
		}
	}
	return false
}

// canPassAt says whether one of our own addresses lets a client pass.
func (s *Screen) canPassAt(own net.Addr) bool {
	a, ok := own.(*net.TCPAddr)
	if !ok {
		return true
	}
	for _, i := range s.interfaces {
		if i.Has(a.AddrPort().Addr().Unmap().WithZone("")) {
			return !i.Not
		}
	}
	return false
}

// conclude logs that all was passed that was to be done, and remembers what was.
func (v *visit) conclude() {
	if v.lost || !v.won.any() {
		return
	}
	all := true
	for t, wanted := range v.todo {
		all = all && (!wanted || v.won[t])
	}
	if all {
		result := "PASS NEW"
		if v.old {
			result = "PASS OLD"
		}
		v.log(msglog.Screened{Result: result})
	}
	v.remember()
}

// handOver gives the connection to who comes next, as it was.
func (v *visit) handOver(ctx context.Context, result string) {
	if result != "" {
		v.log(msglog.Screened{Result: result})
	}
	v.handedOn = true
	if v.talked {
		ctx = smtpserver.ForgiveEarly(ctx) // or an action of ignore would refuse after all
	}
	v.s.o.Next.ServeConn(ctx, v.nc)
}

// fail notes that a test failed; true: the connection is over.
func (v *visit) fail(ctx context.Context, event msglog.Screened, action configs.ScreenAction, e *dsn.Error) bool {
	event.Action = actionText(action)
	v.log(event)
	switch action {
	case configs.ScreenDrop:
		v.lost = true
		v.say(ctx, e.WithCode(521))
		return true
	case configs.ScreenEnforce:
		v.lost = true
		v.refusal = e
	}
	return false
}

func actionText(a configs.ScreenAction) string {
	switch a {
	case configs.ScreenDrop:
		return "drop"
	case configs.ScreenEnforce:
		return "enforce"
	}
	return "ignore"
}

// say is the last word to a client.
func (v *visit) say(ctx context.Context, e *dsn.Error) {
	w := wire.NewConn(v.nc, nil)
	defer w.ReturnBuffers()
	w.WriteTimeout = lastWord
	v.s.engine.Refuse(ctx, w, v.session, v.client, e)
	if v.talked {
		w.Linger() // what it has sent and nobody reads must not take the word away from it
		return
	}
	_ = w.Out.Flush()
}

// lastWord bounds the write of a line into an empty send buffer.
const lastWord = time.Second

func (v *visit) log(e msglog.Screened) {
	e.After = v.s.o.Clock.Now().Sub(v.began)
	v.logAnytime(e)
}

// logAnytime is log for the goroutines that ask lists: it looks at nothing that changes.
func (v *visit) logAnytime(e msglog.Screened) {
	e.Session, e.Client, e.Port = v.session, v.client.String(), v.port
	v.s.o.Log.Event(e)
}
