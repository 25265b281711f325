package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/spool"
)

// Options are what a Server answers with. A function that is nil is one that the role
// does not have.
type Options struct {
	Listener net.Listener
	Queue    api.Queue
	Sessions api.Sessions
	Services func() []model.Service
	Decide   func(ctx context.Context, a addr.Address) directory.Decision
	Route    func(ctx context.Context, a addr.Address) (transport, nexthop string)
	// Reload names the parameters that wait for a restart.
	Reload func(ctx context.Context) ([]string, error)
	// Changed makes a change of the directory known to this process.
	Changed func()
	Metrics http.Handler
	// Submit takes what another role sends into the queue, Spool is where it is put meanwhile.
	Submit envelope.Submitter
	Spool  *spool.Dir
	// Deliver carries out a delivery that another role hands over, and closes the connection; nil in a role without such. At
	// the end of Run those under way have DeliverDrain.
	Deliver      func(ctx context.Context, c *net.UnixConn) error
	DeliverDrain func() time.Duration
	// May says what another user than root and this process's may ask; nil nothing.
	May func(uid int, path string) bool
	Log *msglog.Log
}

// maxRequest bounds the JSON of a request, requestTimeout how long it may take to come. They are no parameters: all that is
// asked is a few names.
const (
	maxRequest     = 1 << 20
	requestTimeout = 30 * time.Second
)

// maxRequests is how many are answered at once; more wait. It is no parameter: it is for a role that is in a stranger's hands.
const maxRequests = 512

// Server is the service.
type Server struct {
	o    Options
	http *http.Server
	// slots has an entry for each request that is answered.
	slots chan struct{}
	// deliveries are those under way, below what ends when they must; none begins when closing.
	deliveries sync.WaitGroup
	base       context.Context
	mu         sync.Mutex
	closing    bool
}

// headerTimeout is how long a request may take to come. It is no parameter: both sides are
// this program.
const headerTimeout = 5 * time.Second

// drainTime is how long a stop waits for answers under way.
const drainTime = 5 * time.Second

// New makes a Server.
func New(o Options) *Server {
	s := &Server{o: o, slots: make(chan struct{}, maxRequests)}
	s.http = &http.Server{
		Handler: s.allowed(s.routes()), ConnContext: withUID, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: 16 << 10, IdleTimeout: 5 * time.Minute, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Name implements service.Service.
func (s *Server) Name() string { return "control" }

// Close gives the listener back.
func (s *Server) Close() error { return s.o.Listener.Close() }

// Run implements service.Service.
func (s *Server) Run(ctx context.Context) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.base = base
	ended := make(chan error, 1)
	go func() {
		// No fence: net/http has one for each request, and the rest is its own.
		ended <- s.http.Serve(s.o.Listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stop, over := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer over()
	if s.http.Shutdown(stop) != nil {
		_ = s.http.Close()
	}
	<-ended
	s.endDeliveries(cancel)
	return nil
}

// uidKey is where the user of a connection is kept.
type uidKey struct{}

func withUID(ctx context.Context, c net.Conn) context.Context {
	if uid, ok := service.PeerUID(c); ok {
		ctx = context.WithValue(ctx, uidKey{}, uid)
	}
	return ctx
}

// allowed lets the service's user and root ask everything, and others what they may.
func (s *Server) allowed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, ok := r.Context().Value(uidKey{}).(int)
		if ok && uid >= 0 && (uid == 0 || uid == os.Geteuid() || s.o.May != nil && s.o.May(uid, r.URL.Path)) {
			select {
			case s.slots <- struct{}{}:
				defer func() { <-s.slots }()
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
			return
		}
		s.o.Log.Warn("control", "status", "refused", "user", uid, "path", r.URL.Path)
		http.Error(w, "not for this user", http.StatusForbidden)
	})
}

func (s *Server) routes() http.Handler {
	m, o := http.NewServeMux(), s.o
	handle(m, "/services", func(context.Context, nothing) ([]model.Service, error) { return o.Services(), nil })
	handle(m, "/changed", func(context.Context, nothing) (nothing, error) { o.Changed(); return nothing{}, nil })
	handle(m, "/reload", func(ctx context.Context, _ nothing) ([]string, error) { return o.Reload(ctx) })
	m.Handle("/metrics", o.Metrics)
	if o.Sessions != nil {
		handle(m, "/sessions", func(_ context.Context, mailbox string) ([]model.Session, error) { return o.Sessions.List(mailbox), nil })
		handle(m, "/last", func(_ context.Context, mailbox string) ([]model.LastLogin, error) {
			return o.Sessions.Last(mailbox), nil
		})
		handle(m, "/kick", func(_ context.Context, k model.Kick) (int, error) { return o.Sessions.Kick(k), nil })
	}
	if o.Decide != nil {
		handle(m, "/decide", func(ctx context.Context, a addr.Address) (directory.Decision, error) {
			d := o.Decide(ctx, a)
			d.Err, d.QuotaUnknown = withoutCause(d.Err), withoutCause(d.QuotaUnknown)
			return d, nil
		})
		handle(m, "/route", func(ctx context.Context, a addr.Address) (route, error) {
			var r route
			r.Transport, r.Nexthop = o.Route(ctx, a)
			return r, nil
		})
	}
	if o.Submit != nil {
		m.HandleFunc("POST /submit", s.submit)
	}
	if o.Deliver != nil {
		m.HandleFunc("POST /deliver", s.deliver)
	}
	if o.Queue != nil {
		serveQueue(m, o.Queue)
	}
	return m
}

// withoutCause is an error for another process: this one's log has the cause.
func withoutCause(e *dsn.Error) *dsn.Error {
	if e == nil {
		return nil
	}
	short := *e
	short.Cause = nil
	return &short
}

type nothing struct{}

type route struct{ Transport, Nexthop string }

// handle answers a POST with the JSON of what f makes of its JSON.
func handle[I, O any](m *http.ServeMux, path string, f func(context.Context, I) (O, error)) {
	m.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var in I
		if err := decode(w, r, &in); err != nil {
			fail(w, err)
			return
		}
		out, err := f(r.Context(), in)
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out)
	})
}

// decode reads the JSON of a request, which is neither large nor slow.
func decode(w http.ResponseWriter, r *http.Request, in any) error {
	c := http.NewResponseController(w)
	if err := c.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(in); err != nil {
		return err
	}
	return c.SetReadDeadline(time.Time{}) // or the answer's context would end with it
}

// problem is a model.Error on its way.
type problem struct {
	Kind   model.Kind
	Text   string
	Fields []model.FieldError
	Staff  string
	Cause  string
}

func fail(w http.ResponseWriter, err error) {
	p := problem{Kind: model.Internal, Cause: err.Error()}
	var e *model.Error
	if errors.As(err, &e) {
		p = problem{Kind: e.Kind, Text: e.Text, Fields: e.Fields, Staff: e.Staff}
		if e.Cause != nil {
			p.Cause = e.Cause.Error()
		}
	}
	w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(w).Encode(p)
}

// stream answers with octets, whose number and more stand in the header.
func stream(w http.ResponseWriter, content io.ReadCloser, size int64, header map[string]string) {
	defer content.Close()
	for name, value := range header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(w, content) // a shorter answer is an error of the reader
}

var _ service.Service = (*Server)(nil)
