package pickup

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
)

// serviceName is the service's in the log.
const serviceName = "pickup"

// Options are what a Service works with. All are needed but those that may be nil.
type Options struct {
	Params   configs.Pickup
	Hostname string // main.hostname
	// Dir is pickup.directory, which maildrop.Make has made; MaxMessage smtpd.message_size_limit.
	Dir        string
	FS         vfs.FS
	MaxMessage int64
	// Listener is the socket's. Run and Close close it.
	Listener net.Listener
	Tables   *tables.Set
	Submit   envelope.Submitter
	Reporter agent.Reporter
	Spool    *spool.Dir
	// NewID and Has are the queue's: an ID that no message has, and whether one has it.
	NewID func() envelope.QueueID
	Has   func(ctx context.Context, id envelope.QueueID) (bool, error)
	// Lifetime is qmgr.queue_lifetime, MaximalBackoff qmgr.maximal_backoff_time.
	Lifetime, MaximalBackoff time.Duration
	// Room says whether a message of a size, 0 for any, may come in.
	Room func(size int64) error
	// Verify says what would become of a recipient; nil knows nothing.
	Verify func(ctx context.Context, a addr.Address) Verdict
	// Mailq lists the queue and Flush has it tried again, as the API does; who may ask is decided here.
	Mailq, Flush http.Handler
	Log          *msglog.Log
	Clock        clock.Clock
}

// Verdict is what would become of a recipient.
type Verdict struct {
	// Err is why it cannot be delivered, or why that is not known; nil when it can.
	Err *dsn.Error
	// Text is what the host said that would get it.
	Text string
}

// Service takes the mail of this host. Safe for concurrent use.
type Service struct {
	// o has what does not change.
	o     Options
	now   atomic.Pointer[Settings]
	http  *http.Server
	ready chan struct{}

	// foreign is how many names that are not a message's could not be removed, as the log has it. It
	// belongs to the goroutine that looks into the folder.
	foreign int
	// stuck is the same of messages that cannot be taken.
	stuck    int
	troubles troubles
	expired  atomic.Int64
}

// Settings are what Renew changes: who may do what, and how large and how old a message may be.
type Settings struct {
	params                   configs.Pickup
	maxMessage               int64
	lifetime, maximalBackoff time.Duration
	submit, flush, mailq     users
	senders                  tables.Maps
}

// Prepare makes Settings of Params, Tables, MaxMessage, Lifetime and MaximalBackoff. An error says which parameter is wrong.
func Prepare(ctx context.Context, o Options) (*Settings, error) {
	s := &Settings{params: o.Params, maxMessage: o.MaxMessage, lifetime: o.Lifetime, maximalBackoff: o.MaximalBackoff}
	for _, l := range []struct {
		list  *users
		name  string
		items []string
	}{
		{&s.submit, "authorized_submit_users", o.Params.SubmitUsers}, {&s.flush, "authorized_flush_users", o.Params.FlushUsers}, {&s.mailq, "authorized_mailq_users", o.Params.MailqUsers},
	} {
		var err error
		if *l.list, err = openUsers(ctx, o.Tables, l.items); err != nil {
			return nil, fmt.Errorf("pickup.%s: %w", l.name, err)
		}
	}
	var err error
	if s.senders, _, err = o.Tables.OpenAll(ctx, o.Params.LoginSenderMaps); err != nil {
		return nil, fmt.Errorf("pickup.local_login_sender_maps: %w", err)
	}
	return s, nil
}

// Open makes a Service, and removes from the folder what the queue has already: before the first
// message is delivered. An error says which parameter is wrong.
func Open(ctx context.Context, o Options) (*Service, error) {
	s := &Service{o: o, ready: make(chan struct{}), troubles: troubles{all: map[string]*trouble{}}}
	first, err := Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	s.Renew(first)
	s.http = s.server()
	return s, s.dropKnown(ctx)
}

// Renew gives it other settings, for the messages and questions that come then. The socket stays as it is: its limits, and timeout.
func (s *Service) Renew(now *Settings) { s.now.Store(now) }

// Name implements service.Service.
func (s *Service) Name() string { return serviceName }

// Ready is closed when Run answers.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Addrs are the addresses, for the status.
func (s *Service) Addrs() []string { return []string{"unix:" + s.o.Listener.Addr().String()} }

// Close gives the listener back when Run is never called.
func (s *Service) Close() error { return s.o.Listener.Close() }

// Run implements service.Service.
func (s *Service) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		// No fence: net/http has one for each request, and each of ours has its own.
		served <- s.http.Serve(&gated{Listener: s.o.Listener, most: s.o.Params.MaxConnections, mostUser: s.o.Params.MaxUser, users: map[int]int{}})
	}()
	var looking sync.WaitGroup
	folder, end := context.WithCancel(ctx)
	defer end()
	looking.Go(func() { s.look(folder) })
	close(s.ready)
	var err error
	select {
	case err = <-served: // a listener that fails is a service that fails
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Params.DrainTimeout)
		if s.http.Shutdown(stop) != nil {
			_ = s.http.Close()
		}
		cancel()
		<-served
	}
	end()
	looking.Wait()
	return err
}

// look looks into the folder at the start, and then every wakeup_time.
func (s *Service) look(ctx context.Context) {
	for ctx.Err() == nil {
		if err := service.Fenced(s.o.Log, func() error { return s.sweep(ctx) }, "service", serviceName, "step", "folder"); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("folder of pickup", "service", serviceName, "cause", err)
		}
		timer := s.o.Clock.NewTimer(s.now.Load().params.WakeupTime)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C():
		}
	}
}

var _ service.Service = (*Service)(nil)
