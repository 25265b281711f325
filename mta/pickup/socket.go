package pickup

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/service"
)

// headerTimeout is how long the head of a request may take. It is no parameter: the client is this program.
const headerTimeout = 10 * time.Second

// answerTime is how long a message may take behind its last octet: questions of -bv ask other hosts. It is no
// parameter: each of these has limits of its own.
const answerTime = 10 * time.Minute

type peerKey struct{}

// server is what answers on the socket.
func (s *Service) server() *http.Server {
	m := http.NewServeMux()
	m.HandleFunc("POST "+maildrop.SubmitPath, s.fenced(s.serveSubmit))
	if s.o.Mailq != nil {
		m.HandleFunc("GET /api/v1/queue", s.fenced(s.guarded(mailqOf, s.o.Mailq)))
		m.HandleFunc("GET /api/v1/queue/remains", s.fenced(s.guarded(mailqOf, s.o.Mailq)))
	}
	if s.o.Flush != nil {
		m.HandleFunc("POST /api/v1/queue/flush", s.fenced(s.guarded(flushOf, s.o.Flush)))
	}
	return &http.Server{
		Handler: m, ReadHeaderTimeout: headerTimeout, ReadTimeout: s.o.Params.Timeout, IdleTimeout: headerTimeout,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if g, ok := c.(*counted); ok {
				return context.WithValue(ctx, peerKey{}, g.uid)
			}
			return ctx
		},
	}
}

// fenced keeps a panic from being more than this request's trouble.
func (s *Service) fenced(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if service.Fenced(s.o.Log, func() error { h(w, r); return nil }, "service", serviceName) != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	}
}

// peer is who asks.
func peer(r *http.Request) (user, error) {
	uid, ok := r.Context().Value(peerKey{}).(int)
	if !ok {
		return user{}, errors.New("a connection without a user")
	}
	return userOf(uid)
}

// serveSubmit takes a message.
func (s *Service) serveSubmit(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Params.Timeout+answerTime)
	defer cancel()
	a := maildrop.Answer{Status: dsn.OK.String(), Text: "Ok"}
	u, err := peer(r)
	if err == nil {
		var m *received
		if m, err = s.read(u, http.MaxBytesReader(w, r.Body, s.now.Load().maxMessage+maildrop.MaxHeader+1024)); err == nil {
			id, e := s.accept(ctx, m, "")
			if a.ID = string(id); e != nil {
				err = e
			}
		}
	}
	if err != nil {
		e := dsn.From(err)
		s.o.Log.Info("mail of this host refused", "service", serviceName, "uid", u.uid, "cause", e)
		a.Status, a.Text = e.Status.String(), e.Text
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // the client hears nothing more then
}

func mailqOf(s *Settings) users { return s.mailq }
func flushOf(s *Settings) users { return s.flush }

// guarded asks a list of users first. The answer is a problem as the API's.
func (s *Service) guarded(list func(*Settings) users, h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u, err := peer(r)
		may := false
		if err == nil {
			may, err = list(s.now.Load()).has(r.Context(), u)
		}
		switch {
		case err != nil:
			s.o.Log.Warn("who may see the queue", "service", serviceName, "uid", u.uid, "cause", err)
			refuse(w, http.StatusServiceUnavailable, "unavailable", "Temporary lookup failure")
		case !may:
			refuse(w, http.StatusForbidden, "forbidden", "User "+u.key()+" is not allowed to do this")
		default:
			h.ServeHTTP(w, r)
		}
	}
}

func refuse(w http.ResponseWriter, code int, kind, text string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": code, "title": http.StatusText(code), "detail": text, "type": kind})
}

// gated counts connections by user. One too many is turned away: the client then leaves its message in the folder.
type gated struct {
	net.Listener
	most, mostUser int

	mu    sync.Mutex
	all   int
	users map[int]int
}

// Accept implements net.Listener.
func (g *gated) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, ok := service.PeerUID(c)
		if ok && g.enter(uid) {
			return &counted{Conn: c, gate: g, uid: uid}, nil
		}
		// There was no request yet: the client knows that it may leave the message in the folder.
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		_ = c.Close()
	}
}

func (g *gated) enter(uid int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := uid == 0 || uid == os.Geteuid()
	if g.all >= g.most || !own && g.users[uid] >= g.mostUser {
		return false
	}
	g.all++
	g.users[uid]++
	return true
}

func (g *gated) leave(uid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.users[uid]--; g.users[uid] == 0 {
		delete(g.users, uid)
	}
}

// counted is a connection of a user.
type counted struct {
	net.Conn
	gate *gated
	uid  int
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.gate.leave(c.uid) })
	return c.Conn.Close()
}
