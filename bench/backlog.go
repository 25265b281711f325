package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mta/queue"
)

// backlogStage: a start with a deferred queue of a million messages, and new mail from then on.
// A file is made for each without a sync, because only what reads them is measured; they take 4
// GiB.
func backlogStage() stage {
	const full = 1_000_000
	return stage{
		name: "backlog", text: "a deferred queue of 1,000,000 messages for a host that refuses connections, due within 4,000 s",
		peer: peerNone, users: 1, fresh: true, once: true,
		prepare: func(ctx context.Context, l *lab, s *side) error { return backlogPrepare(ctx, l, s, l.n(full)) },
		metrics: []metric{
			{title: "Start with 1,000,000 deferred messages", unit: "s, at most", goal: 30, measure: backlogStart},
			{title: "New mail during the scans after that, the slowest of 1,000", unit: "ms, at most", goal: 5000, measure: backlogNewMail},
			{title: "RSS with 1,000,000 deferred messages, the peak", unit: "MiB, at most", goal: 1024, measure: backlogMemory},
		},
	}
}

// unsynced is a file system that makes nothing durable.
type unsynced struct{ vfs.OS }

func (unsynced) SyncDir(string) error { return nil }

func (u unsynced) OpenFile(name string, flag int, perm os.FileMode) (vfs.File, error) {
	f, err := u.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (u unsynced) OpenTemp(dir string, perm os.FileMode) (vfs.File, error) {
	f, err := u.OS.OpenTemp(dir, perm)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error     { return nil }
func (unsyncedFile) Datasync() error { return nil }
func (unsyncedFile) SyncFS() error   { return nil }

// backlogPrepare stops the server and fills its queue, by the queue's own code.
func backlogPrepare(ctx context.Context, l *lab, s *side, n int) error {
	refuses, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer refuses.Close()
	if err := s.configure(map[string]string{
		"smtp.relayhost": strconv.Quote("[127.0.0.1]:" + strconv.Itoa(refuses.Addr().(*net.TCPAddr).Port)), "smtp.private_networks": `["127.0.0.0/8"]`,
	}, ""); err != nil {
		return err
	}
	begin := time.Now()
	if err := fillDeferred(ctx, filepath.Join(s.data, configs.QueueDir), n); err != nil {
		return err
	}
	l.say("  %d messages were made in %s", n, time.Since(begin).Round(time.Second))
	return nil
}

// fillDeferred makes n deferred messages of a hundred domains, due within maximal_backoff_time.
func fillDeferred(ctx context.Context, dir string, n int) (err error) {
	c := configs.Default()
	q, err := queue.Open(ctx, queue.Options{FS: unsynced{}, Dir: dir, Config: c.Queue, Clock: clock.System{}, Log: msglog.Discard()})
	if err != nil {
		return err
	}
	defer func() {
		if failed := q.Close(); err == nil {
			err = failed
		}
	}()
	why := dsn.New(dsn.NoAnswer, "connect to 127.0.0.1: Connection refused")
	const workers = 8
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			var failed error
			for i := w; i < n && failed == nil; i += workers {
				failed = addDeferred(ctx, q, i, n, why, c.Qmgr.MaximalBackoffTime)
			}
			errs <- failed
		}()
	}
	for range workers {
		if failed := <-errs; err == nil {
			err = failed
		}
	}
	return err
}

func addDeferred(ctx context.Context, q *queue.Queue, i, n int, why *dsn.Error, within time.Duration) error {
	from, err := addr.Parse(fmt.Sprintf("sender%d@from%d.example", i%1000, i%100))
	if err != nil {
		return err
	}
	to, err := addr.Parse(fmt.Sprintf("recipient%d@to%d.example", i, i%1000))
	if err != nil {
		return err
	}
	env := &envelope.Envelope{
		ID: q.NewID(), Arrived: time.Now().Add(-within), Sender: from,
		Recipients: []envelope.Recipient{{Address: to, Original: to}},
	}
	if err := q.Add(ctx, env, []byte("Received: from bench\n"), envelope.Memory("Subject: "+strconv.Itoa(i)+"\n\n"+strings.Repeat("text\n", 100))); err != nil {
		return err
	}
	item, err := q.Next(ctx) // of one of the workers
	if err != nil {
		return err
	}
	for _, r := range item.Pending() {
		item.Failed(r, why)
	}
	return item.Close(ctx, time.Now().Add(time.Second+time.Duration(i)*within/time.Duration(n)), false)
}

// backlogStart is the time from the start to "ready", with nothing of the files in memory.
func backlogStart(ctx context.Context, l *lab, s *side) (float64, error) {
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		l.say("  the caches are warm: %v", err)
	}
	begin := time.Now()
	err := s.launch(ctx)
	return time.Since(begin).Seconds(), err
}

// backlogNewMail sends one message after the other into a mailbox, and waits for each, from
// the moment of the start on.
func backlogNewMail(ctx context.Context, l *lab, s *side) (float64, error) {
	var all []time.Duration
	for i := range l.n(1000) {
		a, err := expectArrivals(s.maildir(address(0)), 1)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		if err := sendTo(ctx, s, "new@new.example", address(0)); err != nil {
			return 0, fmt.Errorf("message %d: %w", i, err)
		}
		if err := a.wait(ctx); err != nil {
			return 0, err
		}
		all = append(all, time.Since(begin))
		time.Sleep(20 * time.Millisecond)
	}
	slices.Sort(all)
	l.say("  median %s, 99 in 100 within %s", all[len(all)/2].Round(time.Millisecond), all[len(all)*99/100].Round(time.Millisecond))
	return float64(all[len(all)-1].Milliseconds()), nil
}

func backlogMemory(_ context.Context, _ *lab, s *side) (float64, error) {
	m, err := s.memory()
	return float64(m.Peak) / (1 << 20), err
}

// sendTo sends a small message by SMTP, as a program that is trusted.
func sendTo(ctx context.Context, s *side, from, to string) error {
	c, end, err := dialFor(ctx, s.smtp)
	if err != nil {
		return err
	}
	defer end()
	if err := c.reply("220"); err != nil {
		return err
	}
	for _, step := range []struct{ say, code string }{
		{"EHLO bench.example\r\n", "250"}, {"MAIL FROM:<" + from + ">\r\n", "250"}, {"RCPT TO:<" + to + ">\r\n", "250"},
		{"DATA\r\n", "354"}, {"Subject: new\r\n\r\ntext\r\n.\r\n", "250"}, {"QUIT\r\n", "221"},
	} {
		if err := c.printf("%s", step.say); err != nil {
			return err
		}
		if err := c.reply(step.code); err != nil {
			return err
		}
	}
	return nil
}

// slowHost takes mail for a domain that begins with "slow" in a second, and all other mail at
// once. It counts what it took for each sender.
type slowHost struct {
	net.Listener
	mu   sync.Mutex
	took map[string]int
}

// tenantsStage: a domain with 100,000 messages for a site that takes its time, and another one
// with ten.
func tenantsStage() stage {
	return stage{
		name: "tenants", text: "one domain has 100,000 messages for a host that takes a second for each; another one sends ten",
		peer: peerNone, users: 1, fresh: true, once: true,
		prepare: tenantsPrepare,
		metrics: []metric{
			{title: "Ten messages of another domain, to another host", unit: "s, at most", goal: 5, measure: tenantsTen("quick.example", 10)},
			{title: "Ten messages of another domain, to the slow host", unit: "s, at most", goal: 30, measure: tenantsTen("slow.example", 20)},
		},
	}
}

func tenantsPrepare(ctx context.Context, l *lab, s *side) error {
	h := &slowHost{took: map[string]int{}}
	var err error
	if h.Listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		return err
	}
	go h.serve()
	s.state = h
	host := strconv.Quote("[127.0.0.1]:" + strconv.Itoa(h.Addr().(*net.TCPAddr).Port))
	if err := s.configure(map[string]string{"smtp.private_networks": `["127.0.0.0/8"]`}, "\n[[transport]]\nname = \"slow\"\ndomains = [\"slow.example\"]\nnexthop = "+host+
		"\n[[transport]]\nname = \"all\"\ndomains = [\"*\"]\nnexthop = "+host+"\n"); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	const sessions = 20
	each := l.n(100_000) / sessions
	errs := make(chan error, sessions)
	for range sessions {
		go func() { errs <- sendMany(ctx, s, each, "news@big.example", "reader@slow.example") }()
	}
	for range sessions {
		if failed := <-errs; err == nil {
			err = failed
		}
	}
	return err
}

// sendMany sends n messages on one connection.
func sendMany(ctx context.Context, s *side, n int, from, to string) error {
	c, end, err := dialFor(ctx, s.smtp)
	if err != nil {
		return err
	}
	defer end()
	if err := c.reply("220"); err != nil {
		return err
	}
	if err := c.printf("EHLO bench.example\r\n"); err != nil {
		return err
	}
	if err := c.reply("250"); err != nil {
		return err
	}
	for range n {
		if err := c.printf("MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", from, to); err != nil {
			return err
		}
		for _, code := range []string{"250", "250", "354"} {
			if err := c.reply(code); err != nil {
				return err
			}
		}
		if err := c.printf("Subject: news\r\n\r\ntext\r\n.\r\n"); err != nil {
			return err
		}
		if err := c.reply("250"); err != nil {
			return err
		}
	}
	return nil
}

func tenantsTen(to string, want int) func(context.Context, *lab, *side) (float64, error) {
	return func(ctx context.Context, l *lab, s *side) (float64, error) {
		h := s.state.(*slowHost)
		begin := time.Now()
		for range 10 {
			if err := sendTo(ctx, s, "s@small.example", "x@"+to); err != nil {
				return 0, err
			}
		}
		for h.count("s@small.example") < want {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			if time.Since(begin) > 10*time.Minute {
				return 0, fmt.Errorf("only %d of %d came", h.count("s@small.example"), want)
			}
			time.Sleep(10 * time.Millisecond)
		}
		l.say("  of the other domain %d messages came meanwhile", h.count("news@big.example"))
		return time.Since(begin).Seconds(), nil
	}
}

func (h *slowHost) count(from string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.took[from]
}

func (h *slowHost) serve() {
	for {
		c, err := h.Accept()
		if err != nil {
			return
		}
		go h.session(c)
	}
}

// session speaks as much SMTP as a client needs.
func (h *slowHost) session(c net.Conn) {
	defer c.Close()
	say := func(text string) { _, _ = c.Write([]byte(text + "\r\n")) }
	say("220 slow.example ESMTP")
	from, slow, data := "", false, false
	read := newLines(c)
	for {
		line, err := read()
		verb := strings.ToUpper(line)
		switch {
		case err != nil:
			return
		case data && line != ".":
		case data:
			data = false
			if slow {
				time.Sleep(time.Second)
			}
			h.mu.Lock()
			h.took[from]++
			h.mu.Unlock()
			say("250 taken")
		case strings.HasPrefix(verb, "MAIL FROM:<"):
			from, _, _ = strings.Cut(line[len("MAIL FROM:<"):], ">")
			say("250 ok")
		case strings.HasPrefix(verb, "RCPT"):
			slow = strings.Contains(line, "@slow")
			say("250 ok")
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func newLines(c net.Conn) func() (string, error) {
	r := bufio.NewReader(c)
	return func() (string, error) {
		line, err := r.ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err
	}
}
