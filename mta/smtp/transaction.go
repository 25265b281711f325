package smtp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/wire"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// transactions delivers what is left of d over s. An error means that the
// session is over and the recipients still in d.todo were not decided.
func (d *delivery) transactions(ctx context.Context, s *session) error {
	if err := d.refuseUnfit(s); err != nil {
		return &localError{unreadable(err)}
	}
	for len(d.todo) > 0 {
		if ctx.Err() != nil {
			s.broken = true
			return dsn.Wrap(dsn.BadConnection, "Delivery took too long", ctx.Err())
		}
		if err := s.reset(); err != nil {
			return err
		}
		t := &transaction{delivery: d, session: s}
		if err := t.run(); err != nil {
			return err
		}
	}
	if s.broken || s.reset() != nil {
		s.broken = true // everybody has a result; the loss does not matter
	}
	return nil
}

// refuseUnfit settles the recipients that this peer cannot take, and finds out in which
// form the others' message goes to it.
func (d *delivery) refuseUnfit(s *session) error {
	host := s.target.host
	if !s.ext.utf8 {
		err := dsn.New(dsn.NonASCIIAddress, "Host "+host+" does not take internationalised mail (SMTPUTF8)")
		for _, i := range clone(d.todo) {
			if d.needs.utf8 || !d.to(i).IsASCII() {
				d.refuse(s, []int{i}, err)
			}
		}
	}
	d.form = d.needs.asItIs()
	if !s.ext.eightBit && !s.agent.config.KeepEightBit && len(d.todo) > 0 {
		var err error
		if d.form, err = d.needs.sevenBit(); err != nil {
			return err
		}
	}
	if d.form.refused != nil {
		d.refuse(s, clone(d.todo), dsn.Newf(notConverted, "Host %s does not take 8-bit content, and it cannot be converted: %s", host, d.form.refused.Reason))
	}
	if n := s.ext.maxSize; n > 0 && d.form.size > n {
		d.refuse(s, clone(d.todo), dsn.Newf(dsn.MessageTooLong, "Message size %d exceeds the limit %d of host %s", d.form.size, n, host))
	}
	return nil
}

func clone(list []int) []int { return append([]int(nil), list...) }

// reset ends a transaction that was begun and not finished.
func (s *session) reset() error {
	if !s.dirty {
		return nil
	}
	r, err := s.command(s.agent.config.RsetTimeout, "RSET", "RSET")
	if err != nil {
		return err
	}
	if !r.OK() {
		s.broken = true
		return failure(r, s.target.host, "RSET")
	}
	s.dirty = false
	return nil
}

// transaction is one MAIL ... DATA.
type transaction struct {
	delivery *delivery
	session  *session

	refusedMail *dsn.Error
	accepted    []int
	// crowded are recipients that the peer has no room for now but may have
	// in the next transaction (452, RFC 5321 section 4.5.3.1.10).
	crowded []crowded
	data    *reply
}

type crowded struct {
	recipient int
	err       *dsn.Error
}

// step is a command and what to do with its reply.
type step struct {
	command string
	doing   string
	within  time.Duration
	take    func(*reply)
}

// batch is how many commands are on their way at once. Their replies must fit
// into the socket buffers, or both sides wait for each other (RFC 2920
// section 3.1).
const batch = 50

// run makes one transaction. When it returns nil every recipient it was about
// has a result, except those that were crowded out and may come again.
func (t *transaction) run() error {
	s := t.session
	steps := t.steps()
	size := 1
	if s.ext.pipelining {
		size = batch
	}
	for len(steps) > 0 && t.refusedMail == nil {
		if len(steps) == 1 && len(t.accepted) == 0 && !t.withoutData() {
			break // DATA for nobody
		}
		n := min(size, len(steps))
		if err := t.exchange(steps[:n]); err != nil {
			return err
		}
		steps = steps[n:]
	}
	return t.finish()
}

// exchange sends commands and reads their replies.
func (t *transaction) exchange(steps []step) error {
	s := t.session
	for i := range steps {
		s.out.WriteString(steps[i].command)
		s.out.WriteString("\r\n")
	}
	s.dirty = true
	for i := range steps {
		r, err := s.reply(steps[i].within, steps[i].doing)
		if err != nil {
			return err
		}
		steps[i].take(r)
	}
	return nil
}

func (t *transaction) steps() []step {
	c := &t.session.agent.config
	todo := t.delivery.todo
	steps := make([]step, 0, len(todo)+4)
	for _, command := range t.xforward() {
		steps = append(steps, step{command, "XFORWARD", c.XForwardTimeout, t.forwarded})
	}
	steps = append(steps, step{t.mail(), "MAIL FROM", c.MailTimeout, func(r *reply) {
		if !r.OK() {
			t.refusedMail = failure(r, t.session.target.host, "MAIL FROM")
		}
	}})
	for _, i := range todo {
		steps = append(steps, step{t.rcpt(i), "RCPT TO", c.RcptTimeout, func(r *reply) { t.takeRcpt(i, r) }})
	}
	if t.withoutData() {
		return steps
	}
	return append(steps, step{"DATA", "DATA", c.DataInitTimeout, func(r *reply) { t.data = r }})
}

// chunking says that the content goes by BDAT. LMTP servers have few who ask them for it,
// and gain nothing.
func (t *transaction) chunking() bool {
	return t.session.ext.chunking && !t.session.agent.lmtp
}

// withoutData says that DATA is not one of the steps: the content goes by BDAT, or there is none.
func (t *transaction) withoutData() bool { return t.chunking() || t.delivery.probe }

func (t *transaction) takeRcpt(i int, r *reply) {
	switch {
	case t.refusedMail != nil: // it only says that there was no MAIL
	case r.OK() && t.delivery.probe:
		t.delivery.settle(t.session, i, agent.Result{Action: agent.Sent, Status: r.Status, Text: r.String(), Effect: queue.EffectFinal})
	case r.OK():
		t.accepted = append(t.accepted, i)
	case r.Code == 452 && len(t.accepted) > 0:
		t.crowded = append(t.crowded, crowded{i, failure(r, t.session.target.host, "RCPT TO")})
	default:
		t.delivery.refuse(t.session, []int{i}, failure(r, t.session.target.host, "RCPT TO"))
	}
}

// finish does what follows from the replies to the envelope.
func (t *transaction) finish() error {
	d, s := t.delivery, t.session
	goes := t.data != nil && t.data.Code == 354
	switch {
	case t.refusedMail == nil && len(t.accepted) > 0 && goes:
		return t.send()
	case t.refusedMail == nil && len(t.accepted) > 0 && t.chunking():
		return t.sendChunks()
	case goes && s.agent.lmtp:
		// A reply for each recipient of none is none (RFC 2033 section 4.2), and not every
		// server counts like that.
		s.broken = true
	case goes:
		// The peer wants content although nobody gets it: an empty message
		// ends DATA (RFC 2920 section 3.1).
		if _, err := s.command(s.agent.config.DataDoneTimeout, ".", "the end of no data"); err != nil {
			s.broken = true
		}
	}
	if t.refusedMail != nil {
		d.refuse(s, clone(d.todo), t.refusedMail)
	} else if t.data != nil && !goes {
		d.refuse(s, t.accepted, failure(t.data, s.target.host, "DATA"))
	}
	t.giveUpCrowded()
	return nil
}

// giveUpCrowded defers the crowded: there was no success that made room.
func (t *transaction) giveUpCrowded() {
	for _, c := range t.crowded {
		t.delivery.refuse(t.session, []int{c.recipient}, c.err)
	}
}

// send writes the content and takes the reply to the final dot.
func (t *transaction) send() error {
	if err := t.content(); err != nil {
		return t.notSent(err, "DATA")
	}
	return t.takeEnd()
}

// errEarly is a content that the peer has answered before its end.
var errEarly = errors.New("an answer before the end of the content")

// notSent settles a content that the peer has not got whole. One that refuses it before its end,
// and may be gone by then, has said so for good or for now, as at the end.
func (t *transaction) notSent(err error, doing string) error {
	d, s := t.delivery, t.session
	s.broken = true
	var local *localError
	if errors.As(err, &local) {
		return err
	}
	failed := s.lost(err, doing)
	r, said := s.refusal(doing)
	switch {
	case r != nil:
		d.refuse(s, t.accepted, failure(r, s.target.host, "the content"))
		t.giveUpCrowded()
		return nil
	case said != nil && said.RemoteReply != "": // 421
		return said
	}
	return failed
}

// takeEnd takes what the peer says of the whole content: one reply, or with LMTP one for
// each recipient that it has accepted, in their order (RFC 2033 section 4.2).
func (t *transaction) takeEnd() error {
	d, s := t.delivery, t.session
	taken := false
	for todo := t.accepted; len(todo) > 0; {
		r, err := s.reply(s.agent.config.DataDoneTimeout, "the end of data")
		if err != nil {
			// Nobody knows whether the peer has it. Another host must not be
			// asked now; the next attempt may deliver it twice.
			d.refuse(s, todo, err)
			t.giveUpCrowded()
			return nil
		}
		n := len(todo)
		if s.agent.lmtp {
			n = 1
		}
		taken = t.settleEnd(todo[:n], r) || taken
		todo = todo[n:]
	}
	s.dirty = false
	if !taken {
		t.giveUpCrowded()
	}
	return nil
}

// settleEnd reports a reply to the content for those it is about, and whether it is a success.
func (t *transaction) settleEnd(recipients []int, r *reply) bool {
	d, s := t.delivery, t.session
	if !r.OK() {
		d.refuse(s, recipients, failure(r, s.target.host, "the end of data"))
		return false
	}
	action := agent.Relayed
	switch {
	case s.ext.dsn:
		action = agent.Transferred
	case s.agent.lmtp && s.agent.config.AssumeFinal:
		action = agent.Sent
	}
	for _, i := range recipients {
		d.settle(s, i, agent.Result{Action: action, Status: r.Status, Text: r.String(), Effect: queue.EffectFinal})
	}
	return true
}

// content writes the message and the final dot. An error means that the dot,
// which comes last, was not taken by our own kernel, so the peer cannot have
// the message.
func (t *transaction) content() error {
	s := t.session
	s.contents(true)
	defer s.contents(false)
	w := wire.NewRelayWriter(s.out)
	// Trouble with reading is told from trouble with writing.
	for p, err := range folded(t.delivery.form.pieces, s.agent.config.LineLimit) {
		if err != nil {
			return &localError{unreadable(err)}
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	if s.early() {
		return errEarly // what comes before the dot is no answer to it, and a success least of all
	}
	s.commit()
	if err := w.Close(); err != nil {
		return err
	}
	return s.out.Flush()
}

func (t *transaction) mail() string {
	ext, n := &t.session.ext, &t.delivery.form
	cmd := "MAIL FROM:" + t.delivery.sender.Path()
	if ext.size {
		cmd += fmt.Sprintf(" SIZE=%d", n.size)
	}
	return cmd + t.mailOptions()
}
