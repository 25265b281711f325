package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"toastmaster/admin/jobs"
	"toastmaster/directory/gate"
	"toastmaster/internal/anvil"
	"toastmaster/internal/service"
)

// contentPolicy lets the panel load its own files and talk to its own host,
// and nothing else. There is no inline script or style.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const (
	apiRoot  = "/api/v1"
	specPath = apiRoot + "/openapi.json"

	headerTimeout = 10 * time.Second
	headerLimit   = 32 << 10
	hstsSeconds   = 365 * 24 * 60 * 60
)

// Server is the service.
type Server struct {
	h       *handlers
	http    *http.Server
	tlsPort string
	limits  []*limitListener
	ready   chan struct{}
	// draining: Run is about to end.
	draining atomic.Bool
}

// New builds the service. Nothing is served before Run.
func New(o Options) (*Server, error) {
	if o.Counter == nil {
		o.Counter = anvil.New(anvil.Options{Clock: o.Clock})
	}
	if o.Gate == nil {
		o.Gate = &gate.Gate{Service: "admin", SecureNetworks: gate.Loopback(), Log: o.Log}
	}
	s := &Server{h: &handlers{o: o}, ready: make(chan struct{})}
	s.h.jobs = jobs.New(jobs.Options{
		Store: o.Store, Kinds: s.h.jobKinds(), Workers: o.Params.JobWorkers, Open: o.Params.MaxJobs, History: o.Params.JobHistory,
		Clock: o.Clock, Log: o.Log,
	})
	for _, l := range o.Listeners {
		if _, port, err := net.SplitHostPort(l.Addr().String()); err == nil && l.TLS != nil {
			s.tlsPort = port
		}
		s.limits = append(s.limits, newLimitListener(l.Listener, o))
	}
	handler, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           handler,
		ConnContext:       withPeer,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       o.Params.RequestTimeout,
		WriteTimeout:      o.Params.RequestTimeout,
		IdleTimeout:       o.Params.IdleTimeout,
		MaxHeaderBytes:    headerLimit,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// routes builds the whole tree.
func (s *Server) routes() (http.Handler, error) {
	o := s.h.o
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.h.handleError
	// There is no proxy in front whose X-Forwarded-For could be believed.
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(s.h.logRequest, s.h.fence, s.secureOnly, middleware.SecureWithConfig(middleware.SecureConfig{
		ContentTypeNosniff: "nosniff", XFrameOptions: "DENY", ReferrerPolicy: "no-referrer",
		ContentSecurityPolicy: contentPolicy, HSTSMaxAge: hstsSeconds, HSTSExcludeSubdomains: true,
	}), middleware.BodyLimitWithConfig(middleware.BodyLimitConfig{
		Limit: fmt.Sprintf("%dB", o.Params.BodyLimit), Skipper: func(c echo.Context) bool { return c.Path() == importPath },
	}), middleware.ContextTimeout(o.Params.RequestTimeout))

	config := huma.DefaultConfig("Toastmaster administration", o.Version)
	// The document is made once, below: huma makes it at the first request,
	// without a lock. Its page of documentation loads foreign scripts, and its
	// "$schema" links say nothing that the document does not.
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.Servers = []*huma.Server{{URL: apiRoot}}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	config.Security = []map[string][]string{{"token": {}}}

	// Not a middleware of the group: with one, echo answers a wrong method 404.
	e.Use(s.h.guardAPI)
	a := humaecho.NewWithGroup(e, e.Group(apiRoot), config)
	s.register(a)
	spec, err := json.Marshal(a.OpenAPI())
	if err != nil {
		return nil, err
	}
	e.GET(specPath, func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/openapi+json", spec)
	})
	// Else the panel's route would answer for them.
	e.GET(apiRoot+"/*", echo.NotFoundHandler)
	e.GET(healthPath, s.health)
	if o.Metrics != nil {
		e.GET("/metrics", echo.WrapHandler(o.Metrics), s.h.trustedOrPrincipal)
	}
	if o.Panel != nil {
		e.GET("/*", echo.WrapHandler(o.Panel))
	}
	return e, nil
}

// fence turns a panic into a 500, and the cause into a line of the log.
func (h *handlers) fence(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		return service.Fenced(h.o.Log, func() error { return next(c) }, "service", "admin")
	}
}

// logRequest writes one line for each request; reading is for the curious.
func (h *handlers) logRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := h.o.Clock.Now()
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		level := slog.LevelInfo
		if m := c.Request().Method; m == http.MethodGet || m == http.MethodHead {
			level = slog.LevelDebug
		}
		ctx := c.Request().Context()
		h.o.Log.Log(ctx, level, "admin request", "method", c.Request().Method, "path", c.Request().URL.Path,
			"status", c.Response().Status, "session", peerOf(ctx).session, "client", c.RealIP(), "actor", actorOf(ctx), "delay", h.o.Clock.Now().Sub(start))
		return nil
	}
}

// trustedOrPrincipal guards /metrics.
func (h *handlers) trustedOrPrincipal(next echo.HandlerFunc) echo.HandlerFunc {
	guarded := h.requirePrincipal(next)
	return func(c echo.Context) error {
		if service.InNetworks(h.o.trusted(), peerOf(c.Request().Context()).addr) {
			return next(c)
		}
		return guarded(c)
	}
}

// Name is "admin".
func (s *Server) Name() string { return "admin" }

// Ready is closed when the listeners are served.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addrs are the addresses of the listeners, as service.Server writes them.
func (s *Server) Addrs() []string {
	return (&service.Server{Listeners: s.h.o.Listeners}).Addrs()
}

// Sessions is the number of open connections.
func (s *Server) Sessions() int {
	n := 0
	for _, l := range s.limits {
		n += l.open()
	}
	return n
}

// Close closes the listeners, for a Server whose Run is never called.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.limits {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends, then waits for the requests that are being
// served, at most admin.drain_timeout. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.http.BaseContext = func(net.Listener) context.Context { return requests }
	var serving sync.WaitGroup
	failed := make(chan error, len(s.limits)+2)
	for i, l := range s.limits {
		serving.Go(func() {
			// The requests have fences of their own. After a panic of the loop that
			// accepts, net/http has closed the listener: the service has failed.
			err := service.Fenced(s.h.o.Log, func() error { return s.http.Serve(s.wrapTLS(l, i)) }, "service", "admin")
			if !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	// Jobs use what the services of lower stages give, so they end with the API.
	working, rest := context.WithCancel(ctx)
	defer rest()
	serving.Go(func() {
		if err := s.h.jobs.Run(working); err != nil { // it has fences
			failed <- err
		}
	})
	serving.Go(func() {
		if err := service.Fenced(s.h.o.Log, func() error { return s.h.trimAudit(working) }, "service", "admin"); err != nil {
			failed <- err
		}
	})
	close(s.ready)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.draining.Store(true)
	rest()
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), s.h.o.Params.DrainTimeout)
	defer stop()
	if s.http.Shutdown(drain) != nil {
		cancel()
		err = errors.Join(err, s.http.Close())
	}
	serving.Wait()
	return err
}

// wrapTLS is the listener with TLS if it has some. HTTP/2 is left out: the API
// gains nothing from it that its attack surface would be worth.
func (s *Server) wrapTLS(l net.Listener, i int) net.Listener {
	config := s.h.o.Listeners[i].TLS
	if config == nil {
		return l
	}
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	return tls.NewListener(l, config)
}
