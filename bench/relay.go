package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"time"

	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/proc"
)

// nexthop is what a server hands mail on to.
type nexthop struct {
	// table makes Toastmaster hand on, main Postfix.
	table, main string
	// maildir is where an address has its mail there, nil for none.
	maildir func(address string) string
	// taken is closed when so many more messages have come.
	taken func(n int64) <-chan struct{}
	stop  func()
}

// relayStage: mail in, and on to smtp-sink.
func relayStage() stage {
	measure := func(ctx context.Context, l *lab, s *side) (float64, error) { return relayRun(ctx, s, l.mails(s)) }
	return stage{
		name: "relay", text: "smtp-source, 100 sessions in 20 processes, 4 KiB, through the server to smtp-sink, until it has the last",
		peer: peerPostfix, users: smtpProcesses, fresh: true, next: startSink,
		prepare: func(ctx context.Context, l *lab, s *side) error {
			_, err := relayRun(ctx, s, 400)
			return err
		},
		metrics: []metric{{title: "SMTP through the queue to smtp-sink", unit: "messages/s", goal: 4, measure: measure, count: (*lab).mails}},
	}
}

// storeStage: mail in, and on to a Dovecot by LMTP.
func storeStage() stage {
	measure := func(ctx context.Context, l *lab, s *side) (float64, error) { return storeRun(ctx, s, l.mails(s)) }
	return stage{
		name: "store", text: "smtp-source, 100 sessions in 20 processes, 4 KiB, through the server to Dovecot's LMTP, until the last message is in its Maildir",
		peer: peerPostfix, users: smtpProcesses, fresh: true, next: startStore,
		prepare: func(ctx context.Context, l *lab, s *side) error {
			_, err := storeRun(ctx, s, 400)
			return err
		},
		metrics: []metric{{title: "SMTP through the queue to Dovecot's LMTP", unit: "messages/s", goal: 2, measure: measure, count: (*lab).mails}},
	}
}

func relayRun(ctx context.Context, s *side, n int) (float64, error) {
	each := n / smtpProcesses
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	taken := s.next.taken(int64(each * smtpProcesses))
	begin := time.Now()
	if err := smtpSend(ctx, s, each, true); err != nil {
		return 0, err
	}
	select {
	case <-taken:
	case <-ctx.Done():
		return 0, fmt.Errorf("smtp-sink has not got all: %w", ctx.Err())
	}
	return float64(each*smtpProcesses) / time.Since(begin).Seconds(), nil
}

func storeRun(ctx context.Context, s *side, n int) (float64, error) {
	own := *s
	own.maildir = s.next.maildir
	return smtpRun(ctx, &own, n, true)
}

func startStore(ctx context.Context, dir string, users int) (*nexthop, error) {
	d, err := peers.StartDovecot(ctx, peers.DovecotOptions{Dir: dir, Accounts: peerAccounts(users)})
	if err != nil {
		return nil, err
	}
	return &nexthop{
		table: fmt.Sprintf("\n[[transport]]\nname = \"store\"\nagent = \"lmtp\"\ndomains = [%q]\nnexthop = \"inet:%s\"\n", domain, d.LMTP()),
		main:  fmt.Sprintf("transport_maps = inline:{{%s = lmtp:inet:%s}}", domain, d.LMTP()), maildir: d.Maildir, stop: d.Stop,
	}, nil
}

// sunk is how many messages smtp-sink has told of.
type sunk struct {
	mu    sync.Mutex
	count int64
	until int64
	done  chan struct{}
}

func (k *sunk) set(n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count = n
	if k.done != nil && n >= k.until {
		close(k.done)
		k.done = nil
	}
}

// taken is for one who waits at a time.
func (k *sunk) taken(n int64) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until, k.done = k.count+n, make(chan struct{})
	return k.done
}

var sinkCount = regexp.MustCompile(`mesg=(\d+)`)

// follow reads what smtp-sink prints over and over, until it ends.
func (k *sunk) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Split(splitAtCR)
	for lines.Scan() {
		if m := sinkCount.FindSubmatch(lines.Bytes()); m != nil {
			n, _ := strconv.ParseInt(string(m[1]), 10, 64)
			k.set(n)
		}
	}
}

func splitAtCR(data []byte, atEOF bool) (advance int, token []byte, err error) {
	for i, c := range data {
		if c == '\r' || c == '\n' {
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func startSink(ctx context.Context, _ string, _ int) (*nexthop, error) {
	program, err := proc.Find("smtp-sink")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_ = l.Close() // smtp-sink takes the port; nobody else asks for one of this range now
	args := []string{"-c", "-4", address, "1000"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	k := &sunk{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.follow(out)
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait() // it was killed
	}
	if err := awaitPort(ctx, address, ended); err != nil {
		stop()
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	return &nexthop{
		table: fmt.Sprintf("\n[[transport]]\nname = \"sink\"\nagent = \"smtp\"\ndomains = [\"*\"]\nnexthop = \"[127.0.0.1]:%s\"\n", port),
		main:  "relayhost = [127.0.0.1]:" + port, taken: k.taken, stop: stop,
	}, nil
}

// awaitPort returns when somebody listens, or when who should has ended.
func awaitPort(ctx context.Context, address string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("smtp-sink has ended: %w", err)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// appendTo adds text to a file.
func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(text); err != nil {
		_ = f.Close() // the first error counts
		return err
	}
	return f.Close()
}
