package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"golang.org/x/sys/unix"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
	"toastmaster/directory/gate"
	"toastmaster/internal/dsn"
	"toastmaster/internal/service"
)

// peer is what the connection tells about the client.
type peer struct {
	// session is the connection's id in the log.
	session string
	// uid is the user id on a unix socket, -1 elsewhere or when unknown.
	uid  int
	unix bool
	tls  bool
	addr netip.Addr
}

type peerKey struct{}

type principalKey struct{}

// withPeer is http.Server.ConnContext.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	p := peer{session: service.NewSessionID(), uid: -1, addr: service.ClientAddr(c)}
	for {
		if u, ok := c.(*net.UnixConn); ok {
			p.unix, p.uid = true, peerUID(u)
			break
		}
		wrapped, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		if _, ok := c.(interface{ HandshakeContext(context.Context) error }); ok {
			p.tls = true
		}
		c = wrapped.NetConn()
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// peerUID asks the kernel who connected (unix(7), SO_PEERCRED).
func peerUID(c *net.UnixConn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1
	}
	uid := -1
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	if err != nil {
		return -1
	}
	return uid
}

func peerOf(ctx context.Context) peer {
	p, ok := ctx.Value(peerKey{}).(peer)
	if !ok {
		return peer{uid: -1}
	}
	return p
}

// identify finds who calls: by a token when one was sent, else by the socket.
func (h *handlers) identify(r *http.Request) (authz.Principal, error) {
	p := peerOf(r.Context())
	if header := r.Header.Get("Authorization"); header != "" {
		var who authz.Principal
		e := h.o.Gate.Token(r.Context(), p.bearer(), func(ctx context.Context) *dsn.Error {
			var err error
			who, err = h.byToken(ctx, header)
			return verdict(err)
		})
		return who, refusal(e)
	}
	if p.unix && (p.uid == 0 || p.uid == os.Geteuid() || slices.Contains(h.o.Operators, p.uid)) {
		return authz.Principal{Name: fmt.Sprintf("unix:uid=%d", p.uid), Role: authz.Superadmin}, nil
	}
	return authz.Principal{}, model.Fail(model.Unauthenticated, "send a bearer token")
}

// bearer is the client as the gate knows it.
func (p peer) bearer() gate.Bearer {
	return gate.Bearer{Session: p.session, Client: p.addr, Encrypted: p.tls || p.unix}
}

// verdict is an error of byToken for the gate: wrong, or not known.
func verdict(err error) *dsn.Error {
	switch {
	case err == nil:
		return nil
	case model.KindOf(err) == model.Unauthenticated:
		return dsn.Wrap(dsn.AuthFailed, "wrong token", err)
	}
	return dsn.Wrap(dsn.AuthUnavailable, "tokens cannot be checked now, try again later", err)
}

// refusal is the answer of the gate for the caller.
func refusal(e *dsn.Error) error {
	var known *model.Error
	switch {
	case e == nil:
		return nil
	case errors.Is(e, gate.ErrInsecure):
		return errInsecure
	case errors.Is(e, gate.ErrBlocked):
		return &model.Error{Kind: model.Blocked, Text: "too many wrong tokens, try again later", Cause: e}
	case errors.As(e, &known):
		return known
	}
	return e
}

// errInsecure is the answer to who shows a secret without TLS.
var errInsecure = &model.Error{Kind: model.Forbidden, Text: "use HTTPS"}

// byToken finds who an Authorization field belongs to.
func (h *handlers) byToken(ctx context.Context, header string) (authz.Principal, error) {
	scheme, secret, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return authz.Principal{}, model.Fail(model.Unauthenticated, "send a bearer token")
	}
	who, err := h.o.Store.Authenticate(ctx, strings.TrimSpace(secret))
	if model.KindOf(err) == model.Unavailable {
		// What is wrong with the database is for staff, and nobody knows who this is.
		err = &model.Error{Kind: model.Unavailable, Text: "tokens cannot be checked now, try again later", Cause: err}
	}
	return who, err
}

// guardAPI lets only known callers pass to /api/v1, and to what does not exist
// below it. Where the path came with escapes, echo matches and hands out the
// escaped form; the operations want the plain one.
func (h *handlers) guardAPI(next echo.HandlerFunc) echo.HandlerFunc {
	guarded := h.requirePrincipal(next)
	return func(c echo.Context) error {
		u := c.Request().URL
		if !strings.HasPrefix(c.Path(), apiRoot) && !strings.HasPrefix(u.Path, apiRoot) || c.Path() == specPath {
			return next(c)
		}
		if u.RawPath != "" {
			values := c.ParamValues()
			for i, v := range values {
				plain, err := url.PathUnescape(v)
				if err != nil {
					return echo.ErrBadRequest
				}
				values[i] = plain
			}
			c.SetParamValues(values...)
		}
		return guarded(c)
	}
}

// requirePrincipal finds the caller or refuses.
func (h *handlers) requirePrincipal(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p, err := h.identify(c.Request())
		if err != nil {
			return err
		}
		ctx := context.WithValue(c.Request().Context(), principalKey{}, p)
		c.SetRequest(c.Request().WithContext(ctx))
		c.Response().Header().Set("Cache-Control", "no-store")
		return next(c)
	}
}

// caller is who asks for an operation, after his right to it was checked.
type caller struct {
	// name is for the audit and the log.
	name      string
	principal authz.Principal
}

// scope is what the caller may see of a listing.
func (c caller) scope() *model.Scope { return c.principal.Visible() }

// callerOf checks the caller's right.
func callerOf(ctx context.Context, a authz.Action, t authz.Target) (caller, error) {
	p, ok := ctx.Value(principalKey{}).(authz.Principal)
	if !ok {
		return caller{}, model.Fail(model.Unauthenticated, "send a bearer token")
	}
	return caller{p.Name, p}, p.Check(a, t)
}

// onSystem is the target of what concerns everybody.
func onSystem[I any](*I) (authz.Target, error) { return authz.Target{Object: authz.System}, nil }

// onAllDomains is the target of what makes domains.
func onAllDomains[I any](*I) (authz.Target, error) { return authz.Target{Object: authz.Domain}, nil }

// onNew is the target of what makes an address; of says which.
func onNew[I any](of func(*I) string) func(*I) (authz.Target, error) {
	return func(in *I) (authz.Target, error) {
		_, target, err := onAddress(of(in))
		return target, err
	}
}

// onAddress folds an address of a path or body and says what it is about.
func onAddress(s string) (string, authz.Target, error) {
	a, err := model.ParseAddress(s, true)
	if err != nil {
		return "", authz.Target{}, &model.Error{Kind: model.Invalid, Text: "invalid input",
			Fields: []model.FieldError{{Field: "address", Message: err.Error()}}}
	}
	return a.String(), authz.Target{Object: authz.Address, Domain: a.Domain, Address: a.String()}, nil
}

// secureOnly sends clients of other machines that came without TLS to HTTPS.
func (s *Server) secureOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p := peerOf(c.Request().Context())
		if (p.unix || p.addr.IsValid()) && s.h.o.Gate.Secure(p.addr, p.tls || p.unix) || c.Request().URL.Path == healthPath {
			return next(c)
		}
		if c.Request().Header.Get("Authorization") != "" {
			// It has been shown to everybody on the way, whoever gets it: the line says so.
			_ = s.h.o.Gate.Token(c.Request().Context(), p.bearer(), nil)
		}
		host := c.Request().Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if s.tlsPort == "" || host == "" || strings.ContainsAny(host, "/\\@?# ") {
			return errInsecure
		}
		if s.tlsPort != "443" {
			host = net.JoinHostPort(strings.Trim(host, "[]"), s.tlsPort)
		}
		return c.Redirect(http.StatusPermanentRedirect, "https://"+host+c.Request().URL.RequestURI())
	}
}

// actorOf is the caller's name for the log, "" before it is known.
func actorOf(ctx context.Context) string {
	p, _ := ctx.Value(principalKey{}).(authz.Principal)
	return p.Name
}
