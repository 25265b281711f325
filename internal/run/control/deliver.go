package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// deliverTimeout is how long a role may take to take a delivery over: it may be started again meanwhile, or have many.
const deliverTimeout = 30 * time.Second

// maxAnswerHead bounds the answer before a delivery begins.
const maxAnswerHead = 4 << 10

// Deliver is a connection on which the role takes a delivery over.
func (c *Client) Deliver(ctx context.Context) (*net.UnixConn, error) {
	conn, err := (&net.Dialer{Timeout: CallTimeout}).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, c.unavailable(err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T", conn), conn.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = u.SetDeadline(time.Now()) })
	defer stop()
	if err := errors.Join(u.SetDeadline(time.Now().Add(deliverTimeout)), switchOver(u, c.Role), u.SetDeadline(time.Time{})); err != nil {
		return nil, errors.Join(c.unavailable(err), u.Close())
	}
	return u, ctx.Err()
}

// switchOver makes a connection one that is the delivery's. It reads no octet more than the answer has: what follows comes with
// a descriptor.
func switchOver(c net.Conn, role string) error {
	if _, err := fmt.Fprintf(c, "POST /deliver HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: delivery\r\nContent-Length: 0\r\n\r\n", role); err != nil {
		return err
	}
	var answer []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(answer), "\r\n\r\n"); answer = append(answer, one...) {
		if _, err := io.ReadFull(c, one); err != nil {
			return err
		}
		if len(answer) > maxAnswerHead {
			return errors.New("no answer of a role")
		}
	}
	if line, _, _ := strings.Cut(string(answer), "\r\n"); !strings.HasPrefix(line, "HTTP/1.1 101 ") {
		return errors.New(line)
	}
	return nil
}

// deliver gives a connection to the delivery.
func (s *Server) deliver(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	closing := s.closing
	if !closing {
		s.deliveries.Add(1)
	}
	s.mu.Unlock()
	if closing {
		http.Error(w, "this role ends", http.StatusServiceUnavailable)
		return
	}
	defer s.deliveries.Done()
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fail(w, err)
		return
	}
	u, ok := conn.(*net.UnixConn)
	if !ok || in.Reader.Buffered() > 0 {
		_ = conn.Close()
		return
	}
	err = u.SetDeadline(time.Time{})
	if err == nil {
		_, err = io.WriteString(u, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: delivery\r\n\r\n")
	}
	if err == nil {
		err = s.o.Deliver(s.base, u)
	}
	if err != nil {
		s.o.Log.Warn("control", "path", "/deliver", "cause", err)
		_ = u.Close()
	}
}

// endDeliveries waits for those under way, and ends them when their time is over.
func (s *Server) endDeliveries(end context.CancelFunc) {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	limit := time.Duration(0)
	if s.o.DeliverDrain != nil {
		limit = s.o.DeliverDrain()
	}
	timer := time.AfterFunc(limit, end)
	defer timer.Stop()
	s.deliveries.Wait()
}
