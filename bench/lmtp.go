package main

import (
	"context"
	"errors"
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
			measure: func(ctx context.Context, l *lab, s *side) (float64, error) {
				n := l.n(10000)
				if !s.ours {
					n = l.n(4000)
				}
				return lmtpRun(ctx, s, n)
			}}},
	}
}

// lmtpRun delivers n messages and checks afterwards that all lie there.
func lmtpRun(ctx context.Context, s *side, n int) (float64, error) {
	each := n / lmtpConnections
	waits := make([]*arrivals, lmtpConnections)
	for i := range waits {
		w, err := expectArrivals(s.maildir(address(i)), each)
		if err != nil {
			return 0, err
		}
		waits[i] = w
	}
	contents := someMessages()
	rate, err := parallel(ctx, lmtpConnections, each, func(ctx context.Context, conn int) (func(i int) error, func(), error) {
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
		return func(i int) error {
			return c.lmtpSend(address((conn+i)%lmtpConnections), contents[(conn*each+i)%len(contents)])
		}, end, nil
	})
	if err != nil {
		return 0, err
	}
	for _, w := range waits {
		if err := w.wait(ctx); err != nil {
			return 0, err
		}
	}
	return rate, nil
}

// lmtpSend sends one message as a pipelining client does: the envelope in one
// packet, then the content.
func (c *client) lmtpSend(to string, content []byte) error {
	if err := c.printf("MAIL FROM:<sender@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n", to); err != nil {
		return err
	}
	for _, code := range []string{"250", "250", "354"} {
		if err := c.reply(code); err != nil {
			return err
		}
	}
	if err := c.write(append(content, ".\r\n"...)); err != nil {
		return err
	}
	return c.reply("250")
}

// parallel opens conns connections, then lets each do its work each times, and
// returns how many were done a second. Opening is not measured.
func parallel(ctx context.Context, conns, each int, open func(ctx context.Context, conn int) (func(i int) error, func(), error)) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	works := make([]func(int) error, conns)
	for n := range conns {
		work, end, err := open(ctx, n)
		if err != nil {
			return 0, err
		}
		defer end()
		works[n] = work
	}
	begin := time.Now()
	errs := make(chan error, conns)
	for _, work := range works {
		go func() {
			var err error
			for i := 0; i < each && err == nil; i++ {
				err = work(i)
			}
			if err != nil {
				cancel()
			}
			errs <- err
		}()
	}
	var err error
	for range conns {
		err = errors.Join(err, <-errs)
	}
	return float64(conns*each) / time.Since(begin).Seconds(), err
}
