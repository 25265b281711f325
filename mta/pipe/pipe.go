package pipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/mailcopy"
	"toastmaster/internal/process"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// Options are what an Agent is made of.
type Options struct {
	// Params is the table of the transport.
	Params configs.Transport
	// Export is main.export_environment.
	Export []string
	// Delimiters is main.recipient_delimiter.
	Delimiters string
	Clock      clock.Clock
}

// Agent runs the command of one transport. Safe for concurrent use.
type Agent struct {
	o    Options
	user hostuser.User
	args template
	eol  string
}

// New makes an Agent; the error says what in the table is wrong.
func New(o Options) (*Agent, error) {
	a := &Agent{o: o}
	var err error
	if a.args, err = parseArgv(o.Params.Argv); err != nil {
		return nil, fmt.Errorf("argv: %w", err)
	}
	if a.user, err = hostuser.Parse(o.Params.User); err == nil {
		err = a.user.NotRoot()
	}
	if err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	if a.eol, err = configs.Unescape(o.Params.EOL); err != nil {
		return nil, fmt.Errorf("eol: %w", err)
	}
	return a, nil
}

func (a *Agent) has(flag byte) bool { return strings.IndexByte(a.o.Params.Flags, flag) >= 0 }

// Deliver implements agent.Agent: one command for all recipients.
func (a *Agent) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	result := agent.Result{Relay: a.o.Params.Name, Action: agent.Relayed, Effect: queue.EffectFinal}
	if a.has('X') {
		result.Action = agent.Sent
	}
	text, err := a.run(ctx, r)
	if err != nil && err.Temporary() && ctx.Err() != nil {
		return // the shutdown is the reason
	}
	result.Err, result.Text = err, text
	for _, i := range r.Recipients {
		result.Recipient = i
		report(result)
	}
}

// Probe implements agent.Prober: the command is not asked, but its arguments are made.
func (a *Agent) Probe(_ context.Context, r *agent.Request, report func(agent.Result)) {
	_, err := a.argv(r)
	if no := a.user.Permitted(); err == nil && no != nil {
		err = notPermitted(no)
	}
	report(agent.Result{Recipient: r.Recipients[0], Relay: a.o.Params.Name, Err: err, Text: "delivers to command: " + a.o.Params.Argv[0]})
}

func notPermitted(err error) *dsn.Error {
	return dsn.Wrap(dsn.Misconfigured, "mail system configuration error", err)
}

// run gives the command the message.
func (a *Agent) run(ctx context.Context, r *agent.Request) (text string, failed *dsn.Error) {
	p := a.o.Params
	if limit := p.MessageSize; limit > 0 && r.Content.Size() > limit {
		return "", dsn.New(dsn.Make(5, 2, 3), "message too large")
	}
	if len(r.Recipients) == 1 && a.has('D') {
		to := r.Envelope.Recipients[r.Recipients[0]].Address
		loops, err := mailcopy.Loops(r.Content, to)
		if err != nil {
			return "", dsn.From(err)
		}
		if loops {
			return "", dsn.Newf(dsn.LoopDetected, "mail forwarding loop for %s", to)
		}
	}
	argv, failed := a.argv(r)
	if failed != nil {
		return "", failed
	}
	c := a.copyOf(r)
	result, err := process.Run(ctx, process.Command{
		Argv: argv, Name: p.Argv[0], Dir: p.Directory, Env: process.Environment(a.o.Export), User: a.user, TimeLimit: p.TimeLimit,
		Write: func(w io.Writer) error { return c.Write(w, r.Content) },
	})
	switch {
	case errors.Is(err, hostuser.ErrNotPermitted), errors.Is(err, hostuser.ErrRoot):
		return "", notPermitted(err)
	case err != nil:
		return "", dsn.From(err)
	}
	text = "delivered via " + p.Name + " service"
	if result.Output != "" {
		text += " (" + result.Output + ")"
	}
	return text, result.Error()
}

// copyOf is how the message is written.
func (a *Agent) copyOf(r *agent.Request) *mailcopy.Copy {
	c := &mailcopy.Copy{EOL: a.eol, Dots: a.has('.'), Quote: a.has('>'), Blank: a.has('B')}
	sender := r.Envelope.Sender.String()
	if r.Envelope.Sender.IsNull() {
		sender = a.o.Params.NullSender
	}
	if a.has('F') {
		c.From, c.At = cmp.Or(sender, "MAILER-DAEMON"), a.o.Clock.Now().Local()
	}
	if a.has('R') {
		c.ReturnPath = "<" + sender + ">"
	}
	if len(r.Recipients) == 1 {
		to := r.Envelope.Recipients[r.Recipients[0]]
		if a.has('O') {
			c.OriginalTo = originalOf(to)
		}
		if a.has('D') {
			c.DeliveredTo = to.Address.String()
		}
	}
	return c
}

func originalOf(to envelope.Recipient) string {
	if to.Original.IsNull() {
		return to.Address.String()
	}
	return to.Original.String()
}
