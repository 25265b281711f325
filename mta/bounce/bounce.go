package bounce

import (
	"context"
	"errors"
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
	Submit   envelope.Submitter
	Log      *msglog.Log
	Clock    clock.Clock
}

// Generator is the agent.Reporter. Safe for concurrent use.
type Generator struct {
	config   configs.Bounce
	hostname string
	submit   envelope.Submitter
	log      *msglog.Log
	clock    clock.Clock
	copyTo   addr.Address
}

// New makes a Generator. It fails when bounce.copy_to is no address.
func New(o Options) (*Generator, error) {
	g := &Generator{config: o.Params, hostname: o.Hostname, submit: o.Submit, log: o.Log, clock: o.Clock}
	if o.Params.CopyTo == "" {
		return g, nil
	}
	var err error
	g.copyTo, err = addr.Parse(o.Params.CopyTo)
	return g, err
}

// Report implements agent.Reporter.
func (g *Generator) Report(ctx context.Context, r *agent.Report) error {
	var wanted []agent.ReportRecipient
	for _, to := range r.Recipients {
		if r.Envelope.Recipients[to.Recipient].Notify.Wants(notifyOf(r.Kind)) {
			wanted = append(wanted, to)
		}
	}
	sent := false
	switch {
	case r.Envelope.Sender.IsNull():
		g.log.Info("no report to the null sender", "id", string(r.Envelope.ID), "kind", string(r.Kind))
	case len(wanted) > 0:
		ret := r.Envelope.Return
		if err := g.send(ctx, r, wanted, r.Envelope.Sender, ret == envelope.ReturnHeaders || r.Kind != agent.Failure); err != nil {
			return err
		}
		sent = true
	}
	if !g.copies(r) {
		return nil
	}
	err := g.send(ctx, r, r.Recipients, g.copyTo, true)
	if err == nil || !sent {
		return err
	}
	// The sender has his report; an error would make him get it again.
	g.log.Error("copy of a report not queued", "id", string(r.Envelope.ID), "to", g.copyTo.String(), "cause", err)
	return nil
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

// copies says whether copy_to gets a copy. Mail that could not reach copy_to
// is not copied, or a full postmaster's mailbox would feed itself.
func (g *Generator) copies(r *agent.Report) bool {
	return r.Kind == agent.Failure && !g.copyTo.IsNull() &&
		!slices.ContainsFunc(r.Envelope.Recipients, func(to envelope.Recipient) bool {
			return to.Address.Equal(g.copyTo) || to.Original.Equal(g.copyTo)
		})
}

var errEmpty = errors.New("report has no recipients")

// send makes one report to one address and submits it.
func (g *Generator) send(ctx context.Context, r *agent.Report, about []agent.ReportRecipient, to addr.Address, headersOnly bool) error {
	if len(about) == 0 {
		return errEmpty
	}
	w := &writer{g: g, report: r, about: about, to: to, headersOnly: headersOnly, now: g.clock.Now()}
	text := w.message()
	env := &envelope.Envelope{
		Recipients: []envelope.Recipient{{Address: to, Original: to, Notify: envelope.NotifyNever}},
		UTF8:       w.utf8,
		Origin:     envelope.Origin{Protocol: "bounce"},
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
