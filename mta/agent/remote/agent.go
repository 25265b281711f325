package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
)

// Options are what an Agent is made of. All are needed.
type Options struct {
	// Transport is whose agent the other process has; Relay stands in the log where that says nothing.
	Transport, Relay string
	// Dial is a connection to [Server.Serve].
	Dial func(context.Context) (*net.UnixConn, error)
	// Dir is a folder for files without a name: what a large message is handed over in.
	Dir string
	// Submit takes what the other process sends on, Passed is the agent of a transport that it may hand recipients to, nil for others.
	Submit envelope.Submitter
	Passed func(transport string) agent.Agent
}

// Agent is that of a transport, in another process. Safe for concurrent use.
type Agent struct{ o Options }

// New makes an Agent.
func New(o Options) *Agent { return &Agent{o} }

var (
	_ agent.Agent  = (*Agent)(nil)
	_ agent.Prober = (*Agent)(nil)
)

// Deliver implements agent.Agent.
func (a *Agent) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	missing, err := a.exchange(ctx, r, false, report)
	if ctx.Err() != nil {
		return // what is not reported waits
	}
	for _, i := range missing {
		report(agent.Result{Recipient: i, Relay: a.o.Relay, Err: temporary(err)})
	}
}

// Probe implements agent.Prober.
func (a *Agent) Probe(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	missing, err := a.exchange(ctx, r, true, report)
	if len(missing) > 0 && ctx.Err() == nil {
		report(agent.Result{Recipient: missing[0], Relay: a.o.Relay, Err: temporary(err)})
	}
}

// exchange hands a request over and reports what is said. Recipients of whom nothing was said are missing, and err is why.
func (a *Agent) exchange(ctx context.Context, r *agent.Request, probe bool, report func(agent.Result)) (missing []int, err error) {
	missing = slices.Clone(r.Recipients)
	conn, err := a.o.Dial(ctx)
	if err != nil {
		return missing, err
	}
	defer conn.Close()
	w := &wire{conn: conn, in: bufio.NewReader(conn)}
	q := of(r, a.o.Transport)
	q.Probe = probe
	if err := a.begin(w, q, r.Content); err != nil {
		return missing, err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Now().Add(endTimeout))
		_ = conn.CloseWrite()
	})
	defer stop()
	for {
		if ctx.Err() == nil {
			if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
				return missing, err
			}
		}
		var s said
		if err := w.hear(&s); err != nil {
			return missing, fmt.Errorf("the role that delivers has ended, or does not answer: %w", err)
		}
		switch {
		case s.Done:
			return missing, errors.New("the agent has not reported the recipient")
		case s.Failed != "":
			return missing, errors.New(s.Failed)
		case s.Result != nil:
			n := s.Result.Recipient
			if n < 0 || n >= len(r.Recipients) {
				return missing, fmt.Errorf("a result for recipient %d of %d", n, len(r.Recipients))
			}
			i := r.Recipients[n]
			at := slices.Index(missing, i)
			if at < 0 {
				return missing, errors.New("a recipient was reported twice")
			}
			missing = slices.Delete(missing, at, at+1)
			report(s.Result.result(i))
		case s.Submit != nil:
			err = w.send(a.submit(ctx, s.Submit, r))
		case s.Pass != nil:
			err = w.send(a.pass(ctx, s.Pass, r))
		}
		if err != nil && ctx.Err() == nil {
			return missing, err
		}
	}
}

// begin sends the request with its content.
func (a *Agent) begin(w *wire, q *request, content envelope.Content) error {
	f, err := a.file(content)
	if err != nil {
		return err
	}
	return errors.Join(w.sendRequest(q, f), f.Close())
}

// inMemory is the largest message that is handed over in memory.
const inMemory = 256 << 10

// file is a content as a file without a name.
func (a *Agent) file(content envelope.Content) (*os.File, error) {
	fd, err := -1, error(nil)
	if content.Size() > inMemory {
		fd, err = unix.Open(a.o.Dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	}
	if fd < 0 { // small, or a file system without such files
		fd, err = unix.MemfdCreate("message", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("a file for the message: %w", err)
	}
	f := os.NewFile(uintptr(fd), "message")
	n, err := io.Copy(f, envelope.Reader(content))
	if err == nil && n != content.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// submit puts the message into the queue for others, as the other side wants it.
func (a *Agent) submit(ctx context.Context, s *submit, r *agent.Request) reply {
	if s.Envelope == nil || len(s.Envelope.Recipients) == 0 || len(s.Fields) > maxFields {
		return reply{Err: failureOf(temporary(errors.New("no message")))}
	}
	id, err := a.o.Submit.Submit(ctx, &envelope.Submission{Envelope: s.Envelope, Content: &prefixed{s.Fields, r.Content}})
	if err != nil {
		return reply{Err: failureOf(dsn.From(err))}
	}
	return reply{ID: id}
}

// pass hands the message to the agent of another transport, for one recipient.
func (a *Agent) pass(ctx context.Context, q *request, r *agent.Request) (answer reply) {
	if err := q.check(); err != nil {
		return reply{Err: failureOf(temporary(err))}
	}
	by := a.o.Passed(q.Transport)
	if by == nil {
		return reply{Err: failureOf(dsn.Wrap(dsn.Misconfigured, "mail transport unavailable", fmt.Errorf("%q is no transport that mail may be handed to", q.Transport)))}
	}
	its := q.request(r.Content)
	hear := func(one agent.Result) { answer.Result = resultOf(one, 0) }
	if !q.Probe {
		by.Deliver(ctx, its, hear)
		return answer
	}
	prober, can := by.(agent.Prober)
	if !can {
		hear(agent.Result{Text: "delivers via " + q.Transport, Relay: q.Transport})
		return answer
	}
	prober.Probe(ctx, its, hear)
	return answer
}
