package flush

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/vfs"
)

var (
	// ErrDenied is the answer for a domain that is not served.
	ErrDenied = errors.New("flush: the domain is not in flush.fast_flush_domains")
	// ErrName is the answer for what is no domain.
	ErrName = errors.New("flush: no domain")
	// errFull is that there are too many logs for another one.
	errFull = errors.New("flush: as many destinations as flush.site_limit have a log")
)

// Queue is what the index asks of mta/queue.
type Queue interface {
	// FlushIDs makes those of ids that are deferred due now, and says how many they are.
	FlushIDs(ctx context.Context, ids []envelope.QueueID) (int, error)
	// Waits says that a message is deferred, or in memory and may become it.
	Waits(id envelope.QueueID) (bool, error)
}

// Options are what an Index is made of.
type Options struct {
	Params configs.Flush
	// Dir is the folder of the logs, which is made.
	Dir string
	// Tables opens the tables among the domains, with nil there are none; Keys are how a
	// domain is looked up.
	Tables keys.Opener
	Keys   keys.Options
	Queue  Queue
	FS     vfs.FS
	Clock  clock.Clock
	Log    *msglog.Log
}

// Index knows which messages wait for which domain. Safe for concurrent use. It is a
// service.Service.
type Index struct {
	o    Options
	now  atomic.Pointer[settings]
	wake chan struct{}

	mu    sync.Mutex
	sites map[string]*site // by the name of the log
	// asked are the logs that Run is to work on: at most those that there are.
	asked map[string]bool
	// complained is when a log that could not be made or written was last logged.
	complained time.Time
}

// settings are what Renew changes.
type settings struct {
	configs.Flush
	domains keys.Domains
	keys    keys.Options
}

// New opens the logs that there are.
func New(o Options) (*Index, error) {
	x := &Index{o: o, wake: make(chan struct{}, 1), sites: map[string]*site{}, asked: map[string]bool{}}
	domains, _, err := keys.OpenDomains(context.Background(), o.Tables, o.Params.Domains)
	if err != nil {
		return nil, err
	}
	x.Renew(o.Params, domains, o.Keys)
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := o.FS.ReadDir(o.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() && !strings.HasSuffix(e.Name(), ".new") {
			x.sites[e.Name()] = &site{name: e.Name()}
		}
	}
	return x, nil
}

// Renew gives it other parameters, the domains that are served among them, and how they are looked up. The logs stay: that of a domain that is
// served no more is as it was until its time has come.
func (x *Index) Renew(c configs.Flush, domains keys.Domains, k keys.Options) {
	x.now.Store(&settings{c, domains, k})
}

// Name is "flush".
func (x *Index) Name() string { return "flush" }

// Serves says whether there is any domain that is served.
func (x *Index) Serves() bool { return len(x.now.Load().domains) > 0 }

// Add notes that a message is deferred, for recipients of these domains. An error is in the log: the
// message has its next attempt all the same.
func (x *Index) Add(ctx context.Context, id envelope.QueueID, recipients []string) {
	now := x.now.Load()
	if len(now.domains) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, domain := range recipients {
		name := fileName(domain)
		if domain == "" || seen[name] {
			continue
		}
		seen[name] = true
		served, err := now.domains.Match(ctx, domain, now.keys)
		if err == nil && served {
			err = x.add(name, id)
		}
		if err != nil {
			x.complain(id, domain, err)
		}
	}
}

// complain logs that a message is not listed, once in a while: there are others.
func (x *Index) complain(id envelope.QueueID, domain string, err error) {
	now := x.o.Clock.Now()
	x.mu.Lock()
	quiet := now.Sub(x.complained) < interval
	if !quiet {
		x.complained = now
	}
	x.mu.Unlock()
	if !quiet {
		x.o.Log.Warn("deferred message not listed for its destination: ETRN does not reach it, its next attempt comes as usual",
			"service", "flush", "id", id, "domain", domain, "cause", err)
	}
}

func (x *Index) add(name string, id envelope.QueueID) error {
	x.mu.Lock()
	s := x.sites[name]
	if s == nil {
		if len(x.sites) >= x.now.Load().SiteLimit {
			x.mu.Unlock()
			return errFull
		}
		s = &site{name: name}
		x.sites[name] = s
	}
	x.mu.Unlock()
	long, err := s.append(x, id)
	if long {
		x.wakeUp()
	}
	return err
}

// Request has what is listed for a domain made due soon, by Run. It does not wait.
func (x *Index) Request(ctx context.Context, domain string) error {
	name, err := x.served(ctx, domain)
	if err != nil {
		return err
	}
	x.mu.Lock()
	known, full := x.sites[name] != nil, len(x.sites) >= x.now.Load().SiteLimit
	if known {
		x.asked[name] = true
	}
	x.mu.Unlock()
	switch {
	case known:
		x.wakeUp()
	case full:
		return errFull // it may have mail that is not listed
	}
	return nil
}

// Flush makes what is listed for a domain due now, and says how many messages that are.
func (x *Index) Flush(ctx context.Context, domain string) (int, error) {
	name, err := x.served(ctx, domain)
	if err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		x.mu.Lock()
		s, full := x.sites[name], len(x.sites) >= x.now.Load().SiteLimit
		x.mu.Unlock()
		switch {
		case s != nil:
			if n, err := s.send(ctx, x); n > 0 || err != nil || !s.purged() {
				return n, err
			}
			continue // a new one may list something
		case full:
			return 0, errFull
		}
		return 0, nil
	}
	return 0, ctx.Err()
}

// served is the name of the log of a domain that is served.
func (x *Index) served(ctx context.Context, domain string) (name string, err error) {
	domain, err = Domain(domain)
	if err != nil {
		return "", err
	}
	now := x.now.Load()
	ok, err := now.domains.Match(ctx, domain, now.keys)
	if err == nil && !ok {
		err = ErrDenied
	}
	return fileName(domain), err
}

// Domain is a domain as it is listed: in lower case. Of an address literal the brackets go, as
// in Postfix; ErrName when it is neither.
func Domain(text string) (string, error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimSuffix(inner, "]")
		if text == "" {
			return "", ErrName
		}
		return strings.ToLower(text), nil
	}
	d, err := addr.ParseDomain(text)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrName, err)
	}
	return strings.ToLower(d), nil
}

// interval is how often Run looks the logs over, as Postfix's master wakes flush(8). It is no
// parameter: the times that count are.
const interval = 1000 * time.Second

// Run works on requests, and on logs whose time has come, until ctx ends.
func (x *Index) Run(ctx context.Context) error {
	timer := x.o.Clock.NewTimer(interval)
	defer timer.Stop()
	x.fenced(ctx, x.lookOver)
	for {
		select {
		case <-x.wake:
			x.fenced(ctx, x.answer)
		case <-timer.C():
			x.fenced(ctx, x.lookOver)
			timer.Reset(interval)
		case <-ctx.Done():
			return nil
		}
	}
}

// fenced runs a round: its panic ends the round, not the process.
func (x *Index) fenced(ctx context.Context, f func(context.Context)) {
	_ = service.Fenced(x.o.Log, func() error {
		f(ctx)
		return nil
	}, "service", "flush")
}

// answer works on requests, and on logs that have become long.
func (x *Index) answer(ctx context.Context) {
	for _, s := range x.all() {
		if ctx.Err() != nil {
			return
		}
		x.mu.Lock()
		asked := x.asked[s.name]
		delete(x.asked, s.name)
		x.mu.Unlock()
		if asked {
			n, err := s.send(ctx, x)
			x.note(s, "fast flush", n, err)
			continue
		}
		if s.long() {
			x.note(s, "", 0, s.compact(ctx, x))
		}
	}
}

// lookOver refreshes and removes logs whose time has come.
func (x *Index) lookOver(ctx context.Context) {
	for _, s := range x.all() {
		if ctx.Err() != nil {
			return
		}
		empty, since, err := s.look(x)
		age := x.o.Clock.Now().Sub(since)
		switch {
		case err != nil:
			x.note(s, "", 0, err)
		case empty && age >= x.now.Load().PurgeTime:
			x.note(s, "", 0, s.purge(x))
		case !empty && age >= x.now.Load().RefreshTime:
			n, err := s.send(ctx, x)
			x.note(s, "fast flush log refreshed", n, err)
		}
	}
	x.answer(ctx)
}

// note logs what became of a log; without words only an error.
func (x *Index) note(s *site, what string, n int, err error) {
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		x.o.Log.Error("fast flush log", "service", "flush", "file", s.path(x), "cause", err)
	case what != "" && err == nil:
		x.o.Log.Info(what, "service", "flush", "domain", s.name, "messages", n)
	}
}

// all are the logs that there are.
func (x *Index) all() []*site {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]*site, 0, len(x.sites))
	for _, s := range x.sites {
		list = append(list, s)
	}
	return list
}

func (x *Index) wakeUp() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// gone says that a file is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
