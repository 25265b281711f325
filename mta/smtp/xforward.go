package smtp

// xforward are the commands that tell a host that wants to hear it where the message comes from (Postfix
// smtp_send_xforward_command).
func (t *transaction) xforward() []string {
	s := t.session
	if !s.agent.config.SendXForward || len(s.ext.xforward) == 0 {
		return nil
	}
	env := t.delivery.request.Envelope
	return env.Origin.Forward(env.ID).Commands(s.ext.xforward)
}

// forwarded takes the reply. Whether the next host logs where a message was is no reason to keep it back.
func (t *transaction) forwarded(r *reply) {
	if !r.OK() {
		t.session.agent.log.Warn("XFORWARD refused", "relay", t.session.target.String(), "reply", r.String())
	}
}
