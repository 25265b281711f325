package configs

import (
	"fmt"
	"slices"
	"strings"

	"toastmaster/internal/dsn"
)

// agentRow is what the configuration knows of a delivery agent. What only one agent
// has is a parameter of [[transport]] with [Param.of].
type agentRow struct {
	name string
	// local: it waits for no other host, so its concurrency is that of this machine.
	local bool
	// standing: a transport of its name is there without a table. It is for what the
	// resolver, or a filter, chooses by itself, and needs no parameter.
	standing bool
	// nexthop says what transport.nexthop may be for the domains of the transport, and
	// that there may be domains. Nil is an agent that takes no mail of domains that
	// are not hosted here.
	nexthop func(string) error
}

// agentRows are the delivery agents, in the order in which the manual names them.
func agentRows() []agentRow {
	return []agentRow{
		{name: "virtual", local: true, standing: true},
		{name: "smtp", standing: true, nexthop: checkOptionalNexthop},
		{name: "lmtp", standing: true, nexthop: checkLMTPNexthop},
		{name: "error", local: true, standing: true, nexthop: checkReason(5)},
		{name: "retry", local: true, standing: true, nexthop: checkReason(4)},
		{name: "discard", local: true, standing: true, nexthop: checkReason(2)},
		{name: "pipe", local: true, nexthop: checkLine},
		{name: "local", local: true, nexthop: checkNone},
	}
}

// Agents are the names that transport.agent chooses from.
func Agents() []string { return agentsThat(func(agentRow) bool { return true }) }

// IsLocal says that an agent waits for no other host.
func IsLocal(agent string) bool { return slices.Contains(localAgents(), agent) }

func localAgents() []string    { return agentsThat(func(r agentRow) bool { return r.local }) }
func standingAgents() []string { return agentsThat(func(r agentRow) bool { return r.standing }) }
func routedAgents() []string   { return agentsThat(func(r agentRow) bool { return r.nexthop != nil }) }

func agentsThat(want func(agentRow) bool) []string {
	var names []string
	for _, r := range agentRows() {
		if want(r) {
			names = append(names, r.name)
		}
	}
	return names
}

// checkNexthopOf is what the agent says of transport.nexthop.
func checkNexthopOf(agent, nexthop string) error {
	for _, r := range agentRows() {
		if r.name == agent && r.nexthop != nil {
			return r.nexthop(nexthop)
		}
	}
	return nil
}

// checkReason accepts a text that may begin with a status, which then has the class
// that the agent gives.
func checkReason(class int) func(string) error {
	return func(s string) error {
		if err := checkLine(s); err != nil {
			return err
		}
		if status, _ := dsn.Split(s, 0); status != 0 && status.Class() != class {
			return fmt.Errorf("%s is no status of class %d, which this agent gives (error 5, retry 4, discard 2)", status, class)
		}
		return nil
	}
}

// checkLine accepts any text of one line.
func checkLine(s string) error {
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return fmt.Errorf("%q is no line of text", s)
	}
	return nil
}

// checkNone is for an agent that hands on to nobody.
func checkNone(s string) error {
	if s != "" {
		return fmt.Errorf("the agent delivers here: there is no nexthop")
	}
	return nil
}

// inWords is a list as a sentence has it: "a, b and c".
func inWords(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
