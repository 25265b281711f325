package pop3d

import (
	"context"
	"net"
	"sync"

	"toastmaster/configs"
	"toastmaster/internal/msglog"
	"toastmaster/mailstore/login"
)

// Busy is what service.Server should tell a client over its limits.
const Busy = "-ERR [SYS/TEMP] Too many connections, try again later\r\n"

// Handler serves POP3 connections. Safe for concurrent use.
type Handler struct {
	config   configs.POP3D
	hostname string
	gate     *login.Gate
	log      *msglog.Log
	uidlForm []configs.UIDLPart
	verbs    map[string]*verb
	blocks   sync.Pool // *[blockSize]byte, for reading messages
}

// blockSize is how much of a message is read at once.
const blockSize = 64 << 10

// Options are what a Handler is made of.
type Options struct {
	Config configs.POP3D
	// Hostname is the name in the greeting.
	Hostname string
	// Gate is the caller's; its limits and timeouts are those of Config.
	Gate *login.Gate
	Log  *msglog.Log
}

// New makes the handler. The error is that of pop3d.uidl_format.
func New(o Options) (*Handler, error) {
	form, err := configs.ParseUIDL(o.Config.UIDLFormat)
	if err != nil {
		return nil, err
	}
	h := &Handler{config: o.Config, hostname: o.Hostname, gate: o.Gate, log: o.Log, uidlForm: form, verbs: map[string]*verb{}}
	h.blocks.New = func() any { return new([blockSize]byte) }
	for _, v := range verbs() {
		h.verbs[v.name] = &v
	}
	return h, nil
}

// ServeConn serves one connection to its end.
func (h *Handler) ServeConn(ctx context.Context, c net.Conn) {
	l := h.gate.Connect(c)
	s := &session{h: h, login: l, wire: l.Wire, ctx: l.Begin(ctx)}
	defer s.end()
	s.reason = s.serve()
}
