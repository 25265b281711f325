package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

const lmtpConnections = 20 // and as many mailboxes

// lmtpStage: mail in by LMTP, each connection to every mailbox in turn.
func lmtpStage() stage {
	return stage{
		name: "lmtp", text: "20 LMTP connections, 4 KiB, 20 mailboxes, until the last 250",
		peer: peerDovecot, users: lmtpConnections, fresh: true,
		prepare: func(ctx context.Context, l *lab, s *side) error {
			_, err := lmtpRun(ctx, s, 200)
			return err
		},
		metrics: []metric{{title: "LMTP delivery", unit: "messages/s", goal: 5,
			measure: func(ctx context.Context, l *lab, s *side) (float64, error) { return lmtpRun(ctx, s, l.mails(s)) }, count: (*lab).mails}},
	}
}

// lmtpRun delivers n messages and checks afterwards that all lie there.
func lmtpRun(ctx context.Context, s *side, n int) (float64, error) { return lmtpRunBy(ctx, n, s) }

// lmtpRunBy is lmtpRun by several servers of the same mailboxes.
func lmtpRunBy(ctx context.Context, n int, sides ...*side) (float64, error) {
	s := sides[0]
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	each := n / lmtpConnections
	waits, err := expectEach(s, lmtpConnections, each)
	if err != nil {
		return 0, err
	}
	contents := lmtpContents()
	var all []*exchange
	for conn := range lmtpConnections {
		c, end, err := dialLMTP(ctx, sides[conn%len(sides)])
		if err != nil {
			return 0, err
		}
		defer end()
		all = append(all, lmtpExchange(c, func(i int) (string, []byte) {
			return address((conn + i) % lmtpConnections), contents[(conn*each+i)%len(contents)]
		}))
	}
	rate, err := oneLoop(ctx, all, lmtpSteps*each)
	if err != nil {
		return 0, err
	}
	return rate / lmtpSteps, checkEach(ctx, waits)
}

// dialLMTP opens a connection and says LHLO.
func dialLMTP(ctx context.Context, s *side) (*client, func(), error) {
	c, end, err := dialFor(ctx, s.lmtp)
	if err != nil {
		return nil, nil, err
	}
	if err = c.reply("220"); err == nil {
		err = c.printf("LHLO bench.example.net\r\n")
	}
	if err == nil {
		err = c.reply("250")
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return c, end, nil
}

// lmtpSteps is how many exchanges a message takes from a client that
// pipelines: the envelope in one packet, then the content.
const lmtpSteps = 2

// lmtpReplies are the answers to each of them.
var lmtpReplies = [lmtpSteps][]string{{"250", "250", "354"}, {"250"}}

// lmtpExchange sends message after message; next gives the recipient and the
// content, with the final dot, of message i.
func lmtpExchange(c *client, next func(i int) (string, []byte)) *exchange {
	var content []byte
	step := 0
	return &exchange{
		c: c,
		next: func(i int) []byte {
			step = i % lmtpSteps
			if step > 0 {
				return content
			}
			var to string
			to, content = next(i / lmtpSteps)
			return lmtpEnvelope(to)
		},
		answered: func(read []byte) (bool, error) { return repliesAre(read, lmtpReplies[step]) },
	}
}

func lmtpEnvelope(to string) []byte {
	return fmt.Appendf(nil, "MAIL FROM:<sender@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n", to)
}

// lmtpContents are made before the measurement.
func lmtpContents() [][]byte {
	all := someMessages()
	for i, content := range all {
		all[i] = slices.Concat(content, []byte(".\r\n"))
	}
	return all
}

// repliesAre says whether read is the replies with these codes, in order; they
// may still be incomplete.
func repliesAre(read []byte, codes []string) (bool, error) {
	for len(codes) > 0 {
		line, rest, whole := bytes.Cut(read, []byte("\r\n"))
		if !whole {
			return false, nil
		}
		if !bytes.HasPrefix(line, []byte(codes[0])) {
			return false, fmt.Errorf("%.200s, want %s", line, codes[0])
		}
		if len(line) < 4 || line[3] != '-' {
			codes = codes[1:]
		}
		read = rest
	}
	if len(read) > 0 {
		return false, fmt.Errorf("%.200q behind the last reply", read)
	}
	return true, nil
}

// lmtpSend sends one message and waits for it.
func (c *client) lmtpSend(to string, content []byte) error {
	steps := [lmtpSteps][]byte{lmtpEnvelope(to), slices.Concat(content, []byte(".\r\n"))}
	for i, step := range steps {
		if err := c.write(step); err != nil {
			return err
		}
		for _, code := range lmtpReplies[i] {
			if err := c.reply(code); err != nil {
				return err
			}
		}
	}
	return nil
}
