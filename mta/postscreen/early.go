package postscreen

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// early makes the tests before the greeting. false: the connection is over.
func (v *visit) early(ctx context.Context) bool {
	service.OnStress(ctx, func(on bool) { v.stressed.Store(on); v.tell() })
	service.OnDrain(ctx, func() { v.draining.Store(true); v.tell() })
	if v.todo[dnsbl] {
		v.lists = v.s.askLists(ctx, v)
	}
	if v.todo[pregreet] && v.s.banner != "" {
		_ = v.nc.SetWriteDeadline(time.Now().Add(lastWord))
		if _, err := v.nc.Write([]byte("220-" + v.s.banner + "\r\n")); err != nil {
			v.hangup(beforeHandshake)
			return false
		}
		_ = v.nc.SetWriteDeadline(time.Time{}) // it is not for who comes next
	}
	return v.wait(ctx) && v.judge(ctx)
}

// The stages in the lines about clients that hang up.
const (
	beforeHandshake = "tests before SMTP handshake"
	afterHandshake  = "tests after SMTP handshake"
)

func (v *visit) hangup(stage string) { v.log(msglog.Screened{Result: "HANGUP", Stage: stage}) }

// tell wakes whoever waits. It does not wait.
func (v *visit) tell() {
	select {
	case v.news <- struct{}{}:
	default:
	}
}

// wait lets greet_wait pass, or as much of it as is needed. false: the connection is over.
func (v *visit) wait(ctx context.Context) bool {
	timer := v.s.o.Clock.NewTimer(v.greetWait())
	defer timer.Stop()
	e := v.listen()
	defer e.end()
	heard, answered := e.heard, v.lists.done
	for !v.enough() {
		select {
		case h := <-heard:
			heard = nil
			if !v.hear(ctx, h) {
				return false
			}
		case <-answered:
			answered = nil
		case <-v.news:
			if v.draining.Load() {
				e.end()
				v.say(ctx, dsn.New(dsn.ShuttingDown, "Service is shutting down, try again later").WithCode(421))
				return false
			}
			timer.Reset(max(v.waitLeft(), 0))
			if v.waitLeft() <= 0 { // the clock may have gone on before the timer was set
				return v.lastMoment(ctx, e, heard)
			}
		case <-timer.C():
			return v.lastMoment(ctx, e, heard)
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// lastMoment ends the listening, and hears what came meanwhile, if nothing was heard before.
func (v *visit) lastMoment(ctx context.Context, e *ear, heard <-chan heard) bool {
	e.end()
	if heard != nil {
		if h, ok := <-heard; ok {
			return v.hear(ctx, h)
		}
	}
	return true
}

// enough says that nothing is left to be waited for.
func (v *visit) enough() bool {
	select {
	case <-v.lists.done:
	default:
		return false
	}
	return !v.todo[pregreet] || v.talked || v.good()
}

// good says that DNS lists vouch for the client so much that it need not be tested.
func (v *visit) good() bool {
	most := v.s.o.Params.DNSBLAllowlistThreshold
	rank, _, _ := v.lists.score()
	return v.todo[dnsbl] && most < 0 && rank <= most
}

// hear is told what the client did while it should wait. false: the connection is over.
func (v *visit) hear(ctx context.Context, h heard) bool {
	switch {
	case h.over:
		v.hangup(beforeHandshake)
		return false
	case h.octets == 0 || !v.todo[pregreet]:
		return true
	}
	v.talked = true
	return !v.fail(ctx, msglog.Screened{Result: "PREGREET", Octets: h.octets, Text: h.text}, v.s.o.Params.GreetAction, protocolError())
}

// judge draws the conclusions of the wait. false: the connection is over.
func (v *visit) judge(ctx context.Context) bool {
	p := &v.s.o.Params
	if v.todo[pregreet] && !v.talked {
		v.pass(pregreet, p.GreetTTL)
	}
	if !v.todo[dnsbl] {
		return true
	}
	rank, list, ttl := v.lists.score()
	ttl = min(max(ttl, p.DNSBLMinTTL), max(p.DNSBLMaxTTL, p.DNSBLMinTTL))
	if rank >= p.DNSBLThreshold {
		e := dsn.Newf(dsn.Policy, "Service unavailable; client [%s] blocked using %s", v.client, list).WithCode(550)
		return !v.fail(ctx, msglog.Screened{Result: "DNSBL", Rank: rank, List: list}, p.DNSBLAction, e)
	}
	v.pass(dnsbl, ttl)
	if v.good() {
		for t, wanted := range v.todo {
			if wanted && test(t) != dnsbl && !(test(t) == pregreet && v.talked) {
				v.pass(test(t), ttl)
			}
		}
	}
	return true
}

func protocolError() *dsn.Error { return dsn.New(dsn.InvalidCommand, "Protocol error").WithCode(550) }

// waitLeft is how much of greetWait is left.
func (v *visit) waitLeft() time.Duration { return v.greetWait() - v.s.o.Clock.Now().Sub(v.began) }

// greetWait is how long the client waits for its greeting.
func (v *visit) greetWait() time.Duration {
	if v.stressed.Load() || v.hurried.Load() {
		return min(v.s.o.Params.StressGreetWait, v.s.o.Params.GreetWait)
	}
	return v.s.o.Params.GreetWait
}

// heard is what a client did while it should wait.
type heard struct {
	octets int
	// text is the beginning, quoted as Postfix does.
	text string
	over bool // it hung up
}

// most is how much of early talk is looked at.
const most = 512

// ear listens to a client in a goroutine of its own, until end.
type ear struct {
	nc    net.Conn
	heard chan heard // has room; closed at the end
	done  sync.WaitGroup
	once  sync.Once
}

// listen waits for what the client sends, or that it hangs up. What was sent stays where it is.
func (v *visit) listen() *ear {
	e := &ear{nc: v.nc, heard: make(chan heard, 1)}
	e.done.Go(func() {
		defer close(e.heard)
		if h, ok := peek(v.nc); ok {
			e.heard <- h
		}
	})
	return e
}

// peek waits; it is not ok when a deadline ended that.
func peek(nc net.Conn) (heard, bool) {
	c, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return heard{over: true}, true
	}
	buf := make([]byte, most)
	n, failed := 0, error(nil)
	err = c.Read(func(fd uintptr) bool {
		n, _, failed = unix.Recvfrom(int(fd), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case err != nil:
		return heard{}, false
	case failed != nil, n == 0:
		return heard{over: true}, true
	}
	return heard{octets: n, text: escape(buf[:n])}, true
}

// end ends the wait for the client, and leaves the connection as it was.
func (e *ear) end() {
	e.once.Do(func() {
		_ = e.nc.SetReadDeadline(time.Unix(1, 0)) // what fails here fails again for the next who reads
		e.done.Wait()
		_ = e.nc.SetReadDeadline(time.Time{})
	})
}
