package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// Change says where something changed.
type Change struct {
	// Home is the account's, below the root of the store.
	Home string
	// Dir is the mailbox's folder below it, "" for INBOX.
	Dir string
	// All says that it is the account as a whole, which may be gone.
	All bool
}

// Options are what a Poker is made of.
type Options struct {
	// Dir is the folder of the sockets.
	Dir string
	// Slot is this process's.
	Slot int
	// Group says that the group of the folder may send, too: other processes are other users.
	Group bool
	// Others are the slots of the other processes that live.
	Others func() ([]int, error)
	Log    *msglog.Log
}

// Poker sends and receives pokes. A nil Poker sends none. Safe for concurrent use.
type Poker struct {
	o   Options
	dir *os.File // of the sockets, whose path may be longer than an address can be
	in  *net.UnixConn
	out int // a socket that sends and never waits
	// peers are the addresses of the others, replaced as a whole.
	peers atomic.Pointer[[]string]

	mu      sync.Mutex
	waiting map[Change]struct{}
	some    chan struct{} // has room for one: there is something waiting
}

// maxWaiting bounds what was poked and not looked at. It is no parameter: beyond it
// pokes are lost, and what they told of is found by the next look.
const maxWaiting = 10_000

// Open makes the socket of this process and tells the others that it is there.
func Open(o Options) (p *Poker, err error) {
	p = &Poker{o: o, out: -1, waiting: map[Change]struct{}{}, some: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.dir, err = os.Open(o.Dir); err != nil {
		return p, err
	}
	// What lies there is of a process that was killed: the slot is ours.
	if err = os.Remove(filepath.Join(o.Dir, name(o.Slot))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if p.in, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: p.address(o.Slot)}); err != nil {
		return p, err
	}
	mode := fs.FileMode(0o600)
	if o.Group {
		mode = 0o660
	}
	if err = os.Chmod(filepath.Join(o.Dir, name(o.Slot)), mode); err != nil {
		return p, err
	}
	if p.out, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return p, err
	}
	if err = p.Meet(); err != nil {
		return p, err
	}
	p.send([]byte{kindHello})
	return p, nil
}

func name(slot int) string { return "poke-" + strconv.Itoa(slot) }

// address leads to a socket through the open folder.
func (p *Poker) address(slot int) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", p.dir.Fd(), name(slot))
}

// Close ends it, after Run and every Poke.
func (p *Poker) Close() error {
	if p == nil {
		return nil
	}
	var errs []error
	if p.in != nil {
		errs = append(errs, p.in.Close())
		if err := os.Remove(filepath.Join(p.o.Dir, name(p.o.Slot))); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if p.out >= 0 {
		errs = append(errs, unix.Close(p.out))
	}
	if p.dir != nil {
		errs = append(errs, p.dir.Close())
	}
	return errors.Join(errs...)
}

// Meet finds out who is there. It is called now and then: of one that comes we
// are told, but maybe not.
func (p *Poker) Meet() error {
	if p == nil {
		return nil
	}
	slots, err := p.o.Others()
	if err != nil {
		return err
	}
	peers := make([]string, len(slots))
	for i, slot := range slots {
		peers[i] = p.address(slot)
	}
	p.peers.Store(&peers)
	return nil
}

// What a datagram says: a kind, and the place.
const (
	kindHello   = 'h' // a process is there
	kindMailbox = 'm' // home NUL dir
	kindAccount = 'a' // home
)

// Poke tells all others of a place. It does not wait.
func (p *Poker) Poke(at Change) {
	if p == nil || len(*p.peers.Load()) == 0 {
		return
	}
	if at.All {
		p.send(append([]byte{kindAccount}, at.Home...))
		return
	}
	p.send(append(append(append([]byte{kindMailbox}, at.Home...), 0), at.Dir...))
}

// send sends to all. What cannot be delivered is lost: see doc.go.
func (p *Poker) send(b []byte) {
	for _, name := range *p.peers.Load() {
		// One of its own: Sendto writes into it.
		_ = unix.Sendto(p.out, b, unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: name})
	}
}

// Run has look look at each place that others poked, one after the other, until ctx ends.
func (p *Poker) Run(ctx context.Context, look func(ctx context.Context, at Change)) {
	if p == nil {
		<-ctx.Done()
		return
	}
	received := make(chan struct{})
	go func() {
		defer close(received)
		err := service.Fenced(p.o.Log, p.receive, "service", "store", "step", "pokes")
		if err != nil && ctx.Err() == nil {
			p.o.Log.Warn("changes by other processes are seen later", "cause", err)
		}
	}()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-p.some:
			for _, at := range p.take() {
				look(ctx, at)
			}
		}
	}
	_ = p.in.SetReadDeadline(time.Unix(1, 0)) // of an open socket
	<-received
}

// receive takes what comes until the read deadline.
func (p *Poker) receive() error {
	b := make([]byte, 64<<10)
	for {
		n, err := p.in.Read(b)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		text := string(b[1:n])
		switch b[0] {
		case kindHello:
			if err := p.Meet(); err != nil {
				// It is met again in a moment; what comes meanwhile still counts.
				p.o.Log.Warn("another process of the store cannot be met", "service", "store", "step", "pokes", "cause", err)
			}
		case kindAccount:
			p.put(Change{Home: text, All: true})
		case kindMailbox:
			if home, dir, ok := strings.Cut(text, "\x00"); ok {
				p.put(Change{Home: home, Dir: dir})
			}
		}
	}
}

func (p *Poker) put(at Change) {
	p.mu.Lock()
	if len(p.waiting) < maxWaiting {
		p.waiting[at] = struct{}{}
	}
	p.mu.Unlock()
	select {
	case p.some <- struct{}{}:
	default:
	}
}

// take is all that waits.
func (p *Poker) take() []Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Change, 0, len(p.waiting))
	for at := range p.waiting {
		all = append(all, at)
	}
	clear(p.waiting)
	return all
}
