package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
)

// ServerOptions are what a Server is made of. All are needed.
type ServerOptions struct {
	// Agent is that of a transport of this process, nil for others.
	Agent func(transport string) agent.Agent
	// Fenced runs a delivery; a panic in it is logged and an error.
	Fenced func(func() error) error
	Clock  clock.Clock
}

// Server has the agents that [Agent] asks. Safe for concurrent use.
type Server struct{ o ServerOptions }

// NewServer makes a Server.
func NewServer(o ServerOptions) *Server { return &Server{o} }

// delivery is one connection.
type delivery struct {
	wire
	content envelope.Content
	// asking is one question at a time, and replies are the answers.
	asking  sync.Mutex
	replies chan reply
}

// deliveryKey is where the agents' calls find the delivery that they belong to.
type deliveryKey struct{}

// Serve carries out one delivery, and closes the connection.
func (s *Server) Serve(ctx context.Context, conn *net.UnixConn) error {
	d := &delivery{wire: wire{conn: conn, in: bufio.NewReader(conn)}, replies: make(chan reply, 1)}
	defer conn.Close()
	q, file, err := d.hearRequest()
	if err != nil {
		return errors.Join(err, d.send(said{Failed: "the request was not understood"}))
	}
	defer file.Close()
	by := s.o.Agent(q.Transport)
	if by == nil {
		return d.send(said{Failed: fmt.Sprintf("the role that delivers has no transport %q: it has another configuration", q.Transport)})
	}
	d.content = contentOf(file, q.Size)
	ctx, cancel := context.WithCancel(ctx)
	var both sync.WaitGroup
	both.Go(func() {
		// No fence: it reads lines.
		defer cancel()
		d.listen(ctx)
	})
	both.Go(func() {
		// No fence: it says that it lives.
		d.live(ctx, s.o.Clock)
	})
	err = s.o.Fenced(func() error {
		d.deliver(context.WithValue(ctx, deliveryKey{}, d), by, q)
		return nil
	})
	end := said{Done: true}
	if err != nil {
		end = said{Failed: "the delivery has panicked, see the log"}
	}
	_ = d.send(end) // who has gone does not hear it
	cancel()
	_ = conn.Close()
	both.Wait()
	return nil
}

// deliver has the agent do it.
func (d *delivery) deliver(ctx context.Context, by agent.Agent, q *request) {
	report := func(r agent.Result) { _ = d.send(said{Result: resultOf(r, r.Recipient)}) } // who has gone tries again
	r := q.request(d.content)
	if !q.Probe {
		by.Deliver(ctx, r, report)
		return
	}
	prober, can := by.(agent.Prober)
	if !can {
		report(agent.Result{Relay: q.Transport, Text: "delivers via " + q.Transport})
		return
	}
	prober.Probe(ctx, r, report)
}

// listen hands answers on until the other side ends.
func (d *delivery) listen(ctx context.Context) {
	for {
		var r reply
		if err := d.hear(&r); err != nil {
			return
		}
		select {
		case d.replies <- r:
		case <-ctx.Done():
			return
		}
	}
}

// live says that the delivery goes on.
func (d *delivery) live(ctx context.Context, clk clock.Clock) {
	for {
		timer := clk.NewTimer(aliveEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
			_ = d.send(said{Alive: true})
		}
	}
}

// ask says something that has an answer.
func (d *delivery) ask(ctx context.Context, s said) (reply, error) {
	d.asking.Lock()
	defer d.asking.Unlock()
	if err := d.send(s); err != nil {
		return reply{}, err
	}
	select {
	case r := <-d.replies:
		return r, nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

// errNoDelivery is a mistake of the caller.
var errNoDelivery = errors.New("this is no call of a delivery")

// Submitter is the way into the queue of the process that has handed over the delivery. The content must be the delivery's, with fields
// before it.
type Submitter struct{}

var _ envelope.Submitter = Submitter{}

// Submit implements envelope.Submitter.
func (Submitter) Submit(ctx context.Context, in *envelope.Submission) (envelope.QueueID, error) {
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	if !ok {
		return "", temporary(errNoDelivery)
	}
	more := in.Content.Size() - d.content.Size()
	if more < 0 || more > maxFields {
		return "", temporary(fmt.Errorf("the content is not the message: %d octets more", more))
	}
	fields := make([]byte, more)
	if _, err := in.Content.ReadAt(fields, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", temporary(err)
	}
	answer, err := d.ask(ctx, said{Submit: &submit{in.Envelope, fields}})
	switch {
	case err != nil:
		return "", temporary(err)
	case answer.Err != nil:
		return "", answer.Err.err()
	}
	return answer.ID, nil
}

// Passed is the agent of a transport of the process that has handed over the delivery.
type Passed struct{ Transport string }

var (
	_ agent.Agent  = Passed{}
	_ agent.Prober = Passed{}
)

// Deliver implements agent.Agent.
func (p Passed) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	p.ask(ctx, r, false, report)
}

// Probe implements agent.Prober.
func (p Passed) Probe(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	p.ask(ctx, r, true, report)
}

// ask hands each recipient on.
func (p Passed) ask(ctx context.Context, r *agent.Request, probe bool, report func(agent.Result)) {
	for _, i := range r.Recipients {
		one := *r
		one.Recipients = []int{i}
		q := of(&one, p.Transport)
		q.Probe = probe
		var failed *dsn.Error
		answer, err := reply{}, errNoDelivery
		if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok {
			answer, err = d.ask(ctx, said{Pass: q})
		}
		switch {
		case ctx.Err() != nil && answer.Result == nil:
			return
		case err != nil:
			failed = temporary(err)
		case answer.Result != nil:
			report(answer.Result.result(i))
			continue
		case answer.Err != nil:
			failed = answer.Err.err()
		default:
			failed = temporary(fmt.Errorf("transport %s has not reported the recipient", p.Transport))
		}
		report(agent.Result{Recipient: i, Relay: p.Transport, Err: failed})
	}
}
