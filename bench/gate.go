package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"

	"toastmaster/internal/milter"
)

// gateStage: what a client meets before its mail is taken. There is no peer: the figure is how long mail takes with it,
// of the time without, in turn on the same server.
func gateStage() stage {
	return stage{
		name: "gate", text: "the stage smtp with the usual restriction lists, and with a filter that changes nothing, against without",
		peer: peerNone, users: smtpProcesses,
		prepare: func(ctx context.Context, l *lab, s *side) (err error) {
			s.state, err = newGate(s)
			return err
		},
		metrics: []metric{
			{title: "SMTP with the usual restriction lists", unit: "% of the time without", goal: 100 / 0.9, measure: gateMeasure((*gate).lists)},
			{title: "SMTP with a filter that changes nothing", unit: "% of the time without", goal: 100 / 0.6, measure: gateMeasure((*gate).quiet)},
			{title: "SMTP with a filter that answers each word", unit: "% of the time without", goal: 100 / 0.6, measure: gateMeasure((*gate).talking)},
		},
	}
}

// gateMeasure is the time with parameters, of the time without.
func gateMeasure(params func(*gate) map[string]string) func(context.Context, *lab, *side) (float64, error) {
	return func(ctx context.Context, l *lab, s *side) (float64, error) {
		g := s.state.(*gate)
		rate := func(params map[string]string) (float64, error) {
			if err := s.configure(params, ""); err != nil {
				return 0, err
			}
			if err := s.launch(ctx); err != nil {
				return 0, err
			}
			if _, err := smtpRun(ctx, s, 400, true); err != nil {
				return 0, err
			}
			return smtpRun(ctx, s, l.mails(s), true)
		}
		without, err := rate(g.without())
		if err != nil {
			return 0, err
		}
		with, err := rate(params(g))
		if err != nil {
			return 0, err
		}
		l.say("  without %.0f messages/s, with %.0f", without, with)
		return 100 * without / with, nil
	}
}

// gate is a name server, a filter and tables for the measurements.
type gate struct {
	dns    net.PacketConn
	access string
	// filters hear everything. The first answers at the end of a message alone, as rspamd, the second answers each word.
	filters [2]net.Listener
	wait    sync.WaitGroup
}

// newGate starts them; they end with the side.
func newGate(s *side) (*gate, error) {
	g := &gate{access: filepath.Join(s.data, "access")}
	var table strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&table, "spammer%d@example.org REJECT\n", i)
	}
	if err := os.WriteFile(g.access, []byte(table.String()), 0o644); err != nil {
		return nil, err
	}
	var err error
	if g.dns, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	for n := range g.filters {
		if g.filters[n], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			g.close()
			return nil, err
		}
	}
	g.wait.Go(g.answer)
	g.wait.Go(func() { g.accept(g.filters[0], noReplies) })
	g.wait.Go(func() { g.accept(g.filters[1], 0) })
	stop := s.stop
	s.stop = func() {
		stop() // its connections to the filters end with it
		g.close()
		g.wait.Wait()
	}
	return g, nil
}

// close ends what is listened on.
func (g *gate) close() {
	g.dns.Close()
	for _, l := range g.filters {
		if l != nil {
			l.Close()
		}
	}
}

// without has no list that asks anybody. The client is this host, whom no limit of rates holds up, and no list lets pass for it.
func (g *gate) without() map[string]string {
	return map[string]string{
		"smtp.resolver": fmt.Sprintf("[%q]", g.dns.LocalAddr()), "smtpd.helo_restrictions": "[]", "smtpd.sender_restrictions": "[]",
		"smtpd.recipient_restrictions": `["reject_unauth_destination", "reject_unlisted_recipient"]`, "smtpd.milters": "[]",
	}
}

// lists are those that most hosts have, with two DNS lists.
func (g *gate) lists() map[string]string {
	p := g.without()
	p["smtpd.helo_restrictions"] = `["reject_invalid_helo_hostname"]`
	p["smtpd.sender_restrictions"] = fmt.Sprintf(`["reject_non_fqdn_sender", "reject_unknown_sender_domain", "check_sender_access texthash:%s"]`, g.access)
	p["smtpd.recipient_restrictions"] = `["permit_sasl_authenticated", "reject_non_fqdn_recipient", "reject_unauth_destination", "reject_unlisted_recipient", "reject_over_quota", ` +
		`"reject_rbl_client zen.list.test", "reject_rbl_client bl.list.test", "reject_rhsbl_sender dbl.list.test"]`
	return p
}

// noReplies agrees on no answer but the last.
const noReplies = milter.NoReplyConnect | milter.NoReplyHelo | milter.NoReplyMail | milter.NoReplyRcpt | milter.NoReplyData | milter.NoReplyUnknown |
	milter.NoReplyHeader | milter.NoReplyEndOfHeader | milter.NoReplyBody

func (g *gate) quiet() map[string]string   { return g.filteredBy(0) }
func (g *gate) talking() map[string]string { return g.filteredBy(1) }

func (g *gate) filteredBy(n int) map[string]string {
	p := g.without()
	p["smtpd.milters"] = fmt.Sprintf(`["inet:%s"]`, g.filters[n].Addr())
	return p
}

// answer is a name server that keeps example.net, and has nobody in its lists.
func (g *gate) answer() {
	query := make([]byte, 1500)
	for {
		n, from, err := g.dns.ReadFrom(query)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(query[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.RecursionAvailable, m.RCode = true, true, dnsmessage.RCodeNameError
		m.Additionals = nil
		head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 300}
		name := strings.ToLower(q.Name.String())
		switch {
		case name == "example.net." && q.Type == dnsmessage.TypeMX:
			m.RCode, m.Answers = dnsmessage.RCodeSuccess, []dnsmessage.Resource{{Header: head, Body: &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mx.example.net.")}}}
		case name == "example.net." || name == "mx.example.net.":
			m.RCode = dnsmessage.RCodeSuccess
			if q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}}}
			}
		default: // a no that may be kept
			soa := dnsmessage.MustNewName("list.test.")
			m.Authorities = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: soa, Class: dnsmessage.ClassINET, TTL: 300}, Body: &dnsmessage.SOAResource{NS: soa, MBox: soa, MinTTL: 300},
			}}
		}
		if reply, err := m.Pack(); err == nil {
			_, _ = g.dns.WriteTo(reply, from) // who does not get it asks again
		}
	}
}

// accept serves the connections of a filter.
func (g *gate) accept(l net.Listener, steps milter.Steps) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		g.wait.Go(func() { serveFilter(c, steps) })
	}
}

// serveFilter wants to hear everything, and lets it pass; steps are the answers that are left out.
func serveFilter(c net.Conn, steps milter.Steps) {
	defer c.Close()
	in := milter.Reader{R: bufio.NewReaderSize(c, 64<<10), Max: 1 << 20}
	pass := milter.Append(nil, byte(milter.Continue))
	for {
		code, _, err := in.Next()
		if err != nil {
			return
		}
		reply := pass
		switch milter.Command(code) {
		case milter.EndOfBody:
		case milter.Quit:
			return
		case milter.Macro, milter.Abort, milter.QuitNew:
			continue
		case milter.Negotiate:
			reply = milter.Append(nil, code, milter.Agreement{Version: milter.Version, Actions: milter.AllActions, Steps: steps}.Append(nil))
		default:
			if steps != 0 {
				continue
			}
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}
