package run

import (
	"toastmaster/mta/agent"
	"toastmaster/mta/bounce"
	"toastmaster/mta/discard"
	"toastmaster/mta/errormail"
	"toastmaster/mta/qmgr"
	"toastmaster/mta/rewrite"
	"toastmaster/mta/smtp"
	"toastmaster/mta/virtual"
)

// transportRow is one delivery agent. A new one is a row here.
type transportRow struct {
	open  func(*Instance) (agent.Agent, error)
	local bool // its concurrency is that of our disk
}

func transportTable() []transportRow {
	return []transportRow{
		{openVirtual, true},
		{openSMTP, false},
		{func(*Instance) (agent.Agent, error) { return errormail.Agent{}, nil }, true},
		{func(*Instance) (agent.Agent, error) { return discard.Agent{}, nil }, true},
	}
}

func openVirtual(i *Instance) (agent.Agent, error) {
	return virtual.New(i.directory, i.mail, i.clock, virtual.Options{OverQuotaTemporary: i.config.Qmgr.OverQuotaTemporary}), nil
}

func openSMTP(i *Instance) (agent.Agent, error) {
	c := i.config.SMTP
	if c.PasswordFile != "" {
		c.PasswordFile = i.config.Path(c.PasswordFile)
	}
	a, err := smtp.New(c, smtp.Options{Hostname: i.config.Main.Hostname, Host: i.host, Log: i.log, Clock: i.clock})
	if err != nil {
		return nil, err
	}
	i.onClose(a.Close)
	return a, nil
}

// qmgrParts makes what the queue manager works with.
func (i *Instance) qmgrParts() (qmgr.Parts, error) {
	reporter, err := bounce.New(i.config.Bounce, bounce.Options{
		Hostname: i.config.Main.Hostname, Submit: i.cleanup, Log: i.log, Clock: i.clock,
	})
	p := qmgr.Parts{
		Queue: i.queue, Log: i.log, Clock: i.clock, Reporter: reporter,
		Resolver: rewrite.New(i.directory, rewrite.Options{
			Hostname: i.config.Main.Hostname, Relayhost: i.config.SMTP.Relayhost, Ours: i.host.HasLiteral,
		}),
	}
	if err != nil {
		return p, err
	}
	for _, row := range transportTable() {
		a, err := row.open(i)
		if err != nil {
			return p, err
		}
		limits := qmgr.RemoteLimits(i.config.Qmgr)
		if row.local {
			limits = qmgr.LocalLimits(i.config.Qmgr)
		}
		p.Transports = append(p.Transports, qmgr.Transport{Agent: a, Limits: limits})
	}
	return p, nil
}
