package bounce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/mta/agent"
)

// Options are what a Generator is made of.
type Options struct {
	Params configs.Bounce
	// Hostname is main.hostname: the Reporting-MTA.
	Hostname string
	// Values are what stands for parameters in bounce.template_file.
	Values Values
	Submit envelope.Submitter
	Log    *msglog.Log
	Clock  clock.Clock
}

// Generator is the agent.Reporter. Safe for concurrent use.
type Generator struct {
	config   configs.Bounce
	hostname string
	submit   envelope.Submitter
	log      *msglog.Log
	clock    clock.Clock
	// notices are who gets copies, by class.
	notices   map[string]addr.Address
	templates templates
}

// New makes a Generator. It fails when an address of Params is none, and when
// bounce.template_file cannot be used.
func New(o Options) (*Generator, error) {
	g := &Generator{config: o.Params, hostname: o.Hostname, submit: o.Submit, log: o.Log, clock: o.Clock}
	var err error
	if g.templates, err = readTemplates(o.Params.TemplateFile, o.Values); err != nil {
		return nil, fmt.Errorf("bounce.template_file: %w", err)
	}
	g.notices = map[string]addr.Address{}
	for class, to := range map[string]string{"bounce": o.Params.CopyTo, "2bounce": o.Params.DoubleCopyTo, "delay": o.Params.DelayCopyTo} {
		if to = cmp.Or(to, o.Params.CopyTo); to == "" {
			continue
		}
		a, err := addr.Parse(to)
		if err != nil {
			return nil, fmt.Errorf("bounce: address for the class %s: %w", class, err)
		}
		if slices.Contains(o.Params.Classes, class) {
			g.notices[class] = a
		}
	}
	return g, nil
}

// Report implements agent.Reporter.
func (g *Generator) Report(ctx context.Context, r *agent.Report) error {
	var wanted []agent.ReportRecipient
	for _, to := range r.Recipients {
		if r.Kind == agent.Verified || to.Confirm || r.Envelope.Recipients[to.Recipient].Notify.Wants(notifyOf(r.Kind)) {
			wanted = append(wanted, to)
		}
	}
	sent := false
	switch {
	case r.Envelope.Sender.IsNull():
		g.log.Info("no report to the null sender", "id", string(r.Envelope.ID), "kind", string(r.Kind))
	case len(wanted) > 0:
		ret := r.Envelope.Return
		if err := g.send(ctx, r, wanted, r.Envelope.Sender, settles(r), writer{headersOnly: ret == envelope.ReturnHeaders || r.Kind != agent.Failure}); err != nil {
			return err
		}
		sent = true
	}
	to, wants := g.notice(r)
	if !wants {
		return nil
	}
	var by *envelope.Settled
	if !sent {
		by = settles(r)
	} // else the sender's report does it
	err := g.send(ctx, r, r.Recipients, to, by, writer{headersOnly: true, notice: true})
	if err == nil || !sent {
		return err
	}
	// The sender has his report; an error would make him get it again.
	g.log.Error("copy of a report not queued", "id", string(r.Envelope.ID), "to", to.String(), "cause", err)
	return nil
}

// settles is what is done of the message once a report lies in the queue.
func settles(r *agent.Report) *envelope.Settled {
	s := &envelope.Settled{ID: r.Envelope.ID, Warned: r.Kind == agent.Delay}
	if !s.Warned {
		for _, to := range r.Recipients {
			s.Recipients = append(s.Recipients, to.Recipient)
		}
	}
	return s
}

func notifyOf(k agent.Kind) envelope.Notify {
	switch k {
	case agent.Delay:
		return envelope.NotifyDelay
	case agent.Success:
		return envelope.NotifySuccess
	}
	return envelope.NotifyFailure
}

// notice is who gets a copy of a report. Mail that could not reach him is not
// copied, or a full postmaster's mailbox would feed itself.
func (g *Generator) notice(r *agent.Report) (who addr.Address, wants bool) {
	class := ""
	switch {
	case r.Kind == agent.Delay:
		class = "delay"
	case r.Kind == agent.Failure && r.Envelope.Sender.IsNull():
		class = "2bounce"
	case r.Kind == agent.Failure:
		class = "bounce"
	}
	who, wants = g.notices[class]
	return who, wants && !slices.ContainsFunc(r.Envelope.Recipients, func(to envelope.Recipient) bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(g.notices)), func(n addr.Address) bool {
			return to.Address.Equal(n) || to.Original.Equal(n)
		})
	})
}

var errEmpty = errors.New("report has no recipients")

// send makes one report to one address, as w says, and submits it. by is what that settles, nil for nothing.
func (g *Generator) send(ctx context.Context, r *agent.Report, about []agent.ReportRecipient, to addr.Address, by *envelope.Settled, w writer) error {
	if len(about) == 0 {
		return errEmpty
	}
	w.g, w.report, w.about, w.to, w.now = g, r, about, to, g.clock.Now()
	w.template, w.own = g.templates[r.Kind]
	text := w.message()
	env := &envelope.Envelope{
		Recipients: []envelope.Recipient{{Address: to, Original: to, Notify: envelope.NotifyNever}},
		UTF8:       w.utf8,
		Settles:    by,
		Origin:     envelope.Origin{Source: envelope.SourceBounce},
	}
	if w.eightBit {
		env.Body = envelope.Body8BitMIME
	}
	id, err := g.submit.Submit(ctx, &envelope.Submission{Envelope: env, Content: envelope.Memory(text)})
	if err != nil {
		return err
	}
	g.log.Event(msglog.Notification{ID: r.Envelope.ID, Report: id, Kind: string(r.Kind), To: to.String()})
	return nil
}
