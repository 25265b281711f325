package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/directory/static"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/seeds"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/imapd"
	"toastmaster/mailstore/lmtpd"
	"toastmaster/mailstore/login"
	"toastmaster/mailstore/plan"
	"toastmaster/mailstore/pop3d"
	"toastmaster/mailstore/storetest"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(workerRoot); root != "" {
		os.Exit(work(root))
	}
	goleak.VerifyTestMain(m)
}

// TestOneMailboxIsLinearizable has clients of IMAP, POP3 and LMTP work in one
// mailbox, served by two processes, and records when each asked and was answered.
// There must be one order of all that was done that explains every answer: each
// step happened at one moment between the question and its answer.
func TestOneMailboxIsLinearizable(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 8, func(t *testing.T, r *rand.Rand) {
		h := &history{contents: map[uint32]string{}}
		b := newBed(t)
		m := model(b.loaded(t))
		players := []func(*testing.T, *player){imapPlayer, imapPlayer, imapPlayer, popPlayer, lmtpPlayer, lmtpPlayer}
		if r.IntN(2) == 0 { // one client each: nobody else has a process look at the mailbox
			players = players[:2]
		}
		var clients sync.WaitGroup
		for i, play := range players {
			p := &player{history: h, bed: b, client: i, process: i % 2, r: rand.New(rand.NewPCG(r.Uint64(), 1))}
			clients.Go(func() { play(t, p) })
		}
		clients.Wait()
		if t.Failed() {
			return
		}
		if err := h.last(b); err != nil {
			t.Fatal(err)
		}
		result, info := porcupine.CheckOperationsVerbose(m, h.operations, 0)
		if result != porcupine.Ok {
			file := filepath.Join(t.ArtifactDir(), "history.html")
			t.Errorf("%d operations: %v; %s shows them (%v)", len(h.operations), result, file, porcupine.VisualizePath(m, info, file))
			for _, o := range h.operations {
				t.Logf("%3d-%3d client %d %v", o.Call, o.Return, o.ClientId, m.DescribeOperation(o.Input, o.Output))
			}
		}
	})
}

// input is what a client does.
type input struct {
	verb string // deliver, append, seen, unseen, remove, look, status
	uid  uint32
	id   string
}

// output is what it is told.
type output struct {
	uid  uint32 // append
	list []held // look
	// status
	messages, unseen, next uint32
}

// held is a message in the mailbox; the id of one that was gone before it could be
// asked for is "".
type held struct {
	uid  uint32
	id   string
	seen bool
}

// mailbox is the state of the model; it is not changed.
type mailbox struct {
	next uint32
	list []held
}

// model says what may follow what. next is the UID of the first message.
func model(next uint32) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return mailbox{next: next} },
		Step: func(state, in, out any) (bool, any) { return state.(mailbox).step(in.(input), out.(output)) },
		Hash: func(state any) uint64 { return state.(mailbox).hash() },
		Equal: func(a, b any) bool {
			return a.(mailbox).next == b.(mailbox).next && slices.Equal(a.(mailbox).list, b.(mailbox).list)
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

func (m mailbox) step(in input, out output) (bool, any) {
	switch in.verb {
	case "deliver", "append":
		ok := out.uid == m.next || out.uid == 0
		return ok, mailbox{m.next + 1, append(slices.Clone(m.list), held{uid: m.next, id: in.id})}
	case "seen", "unseen":
		list := slices.Clone(m.list)
		for i := range list {
			if list[i].uid == in.uid {
				list[i].seen = in.verb == "seen"
			}
		}
		return true, mailbox{m.next, list}
	case "remove":
		return true, mailbox{m.next, slices.DeleteFunc(slices.Clone(m.list), func(h held) bool { return h.uid == in.uid })}
	case "look":
		return slices.EqualFunc(m.list, out.list, func(a, b held) bool { return a.uid == b.uid && (b.id == "" || a.id == b.id) }), m
	}
	unseen := uint32(0)
	for _, h := range m.list {
		if !h.seen {
			unseen++
		}
	}
	return out.messages == uint32(len(m.list)) && out.unseen == unseen && out.next == m.next, m
}

func (m mailbox) hash() uint64 {
	h := uint64(m.next)
	for _, one := range m.list {
		h = h*1099511628211 ^ uint64(one.uid)<<1
		if one.seen {
			h++
		}
	}
	return h
}

// history is what all clients did.
type history struct {
	now        atomic.Int64
	mu         sync.Mutex
	operations []porcupine.Operation
	// contents are the messages under UIDs, for good.
	contents map[uint32]string
}

// is notes what is under a UID; it must be the same for everybody, always.
func (h *history) is(uid uint32, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was, known := h.contents[uid]; known && was != id {
		return fmt.Errorf("UID %d is %q, was %q", uid, id, was)
	}
	h.contents[uid] = id
	return nil
}

// last has each process looked at once more, and gives the deliveries the UIDs
// that everybody was told of: LMTP does not say them, and the search for an order
// is short when it need not try all.
func (h *history) last(b *bed) error {
	for process := range b.servers {
		c, err := b.imap(process)
		if err == nil {
			p := &player{history: h, bed: b, client: 6 + process, process: process}
			err = p.look(c)
			c.close()
		}
		if err != nil {
			return err
		}
	}
	uids := map[string]uint32{}
	for uid, id := range h.contents {
		uids[id] = uid
	}
	for i := range h.operations {
		if in := h.operations[i].Input.(input); in.verb == "deliver" {
			h.operations[i].Output = output{uid: uids[in.id]}
		}
	}
	return nil
}

// player is a client.
type player struct {
	*history
	bed     *bed
	client  int
	process int
	r       *rand.Rand
	made    int
}

const rounds = 20

// do records what f does.
func (p *player) do(in input, f func() (output, error)) error {
	call := p.now.Add(1)
	out, err := f()
	back := p.now.Add(1)
	if err != nil {
		return fmt.Errorf("client %d: %+v: %w", p.client, in, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.operations = append(p.operations, porcupine.Operation{ClientId: p.client, Input: in, Call: call, Output: out, Return: back})
	return nil
}

func (p *player) newID() string {
	p.made++
	return fmt.Sprintf("c%dn%d", p.client, p.made)
}

func message(id string) string {
	return "From: a@example.test\r\nSubject: " + id + "\r\n\r\nbody of " + id + "\r\n"
}

func lmtpPlayer(t *testing.T, p *player) {
	c, err := p.bed.lmtp(p.process)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.close()
	for range rounds {
		id := p.newID()
		if err := p.do(input{verb: "deliver", id: id}, func() (output, error) { return output{}, c.deliver(message(id)) }); err != nil {
			t.Error(err)
			return
		}
	}
}

func popPlayer(t *testing.T, p *player) {
	for range rounds / 2 {
		var list []held
		var c *popClient
		err := p.do(input{verb: "look"}, func() (out output, err error) {
			if c, err = p.bed.pop(p.process); err == nil {
				list, err = c.list()
			}
			return output{list: list}, err
		})
		if c != nil {
			defer c.close()
		}
		if err == nil && len(list) > 0 {
			n := p.r.IntN(len(list))
			err = p.do(input{verb: "remove", uid: list[n].uid}, func() (output, error) { return output{}, c.remove(n + 1) })
		} else if err == nil {
			err = c.quit()
		}
		for _, h := range list {
			if err == nil && h.id != "" {
				err = p.is(h.uid, h.id)
			}
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func imapPlayer(t *testing.T, p *player) {
	c, err := p.bed.imap(p.process)
	for round := 0; err == nil && round < rounds; round++ {
		err = p.imap(c)
	}
	if c != nil {
		c.close()
	}
	if err != nil {
		t.Error(err)
	}
}

// look asks for all that is there.
func (p *player) look(c *imapClient) error {
	var out output
	err := p.do(input{verb: "look"}, func() (o output, err error) {
		out, err = c.look()
		return out, err
	})
	for _, h := range out.list {
		if err == nil && h.id != "" {
			err = p.is(h.uid, h.id)
		}
	}
	return err
}

// imap is one thing that a client of IMAP does.
func (p *player) imap(c *imapClient) error {
	n := p.r.IntN(12)
	if n > 5 && len(c.uids()) == 0 {
		n = 5
	}
	switch {
	case n < 3:
		return p.do(input{verb: "status"}, c.status)
	case n < 5:
		return p.look(c)
	case n < 6:
		id := p.newID()
		return p.do(input{verb: "append", id: id}, func() (output, error) { return c.append(message(id)) })
	}
	uids := c.uids()
	uid := uids[p.r.IntN(len(uids))]
	switch {
	case n < 8:
		verb := []string{"seen", "unseen"}[p.r.IntN(2)]
		return p.do(input{verb: verb, uid: uid}, func() (output, error) { return output{}, c.seen(uid, verb == "seen") })
	case n < 11:
		return p.do(input{verb: "remove", uid: uid}, func() (output, error) { return output{}, c.remove(uid) })
	}
	id, err := c.read(uid)
	if err == nil && id != "" {
		err = p.is(uid, id)
	}
	return err
}

// bed is two processes with one store, each with all servers.
type bed struct {
	servers [2]map[string]string // addresses by name
}

func newBed(t *testing.T) *bed {
	b := &bed{}
	root := filepath.Join(t.TempDir(), "mail")
	for i := range b.servers {
		b.servers[i] = serve(t, root)
	}
	return b
}

// loaded has each process read the mailbox, which may raise UIDNEXT: the log that
// another one still writes was not closed. It returns what that is then.
func (b *bed) loaded(t *testing.T) (next uint32) {
	for process := range b.servers {
		c, err := b.imap(process)
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.status()
		if err != nil {
			t.Fatal(err)
		}
		c.close()
		next = out.next
	}
	return next
}

func serve(t *testing.T, root string) map[string]string {
	c, log := configs.Default(), msglog.Discard()
	c.IMAPD.MaxUserIP = 0
	c.Store.JournalSegment = 1 << 20
	store, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: root, FS: vfs.OS{}, Clock: clock.System{}, Log: log, Hostname: "host.test", Store: c.Store,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	running := make(chan error, 1)
	go func() { running <- store.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-running, store.Close()); err != nil {
			t.Error(err)
		}
	})
	hosted, err := static.New(static.Data{Domains: static.Hosted("example.test"), Accounts: []directory.Account{static.Box("alice@example.test", "")}})
	if err != nil {
		t.Fatal(err)
	}
	auth := storetest.Authenticator(t, c)
	way := &login.Gate{
		Gate: gate.Gate{Service: "pop3d", Authenticate: auth.Authenticate, SecureNetworks: gate.Loopback(), MaxFailures: 3, Log: log},
		Open: store.Session, Timeout: time.Minute, HandshakeTimeout: time.Minute,
	}
	pop, err := pop3d.New(pop3d.Options{Config: c.POP3D, Hostname: "host.test", Gate: way, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	handlers := map[string]service.Handler{
		"imap": imapd.New(imapd.Options{Config: c.IMAPD, Store: store, Auth: auth, HandshakeTimeout: time.Minute, Hostname: "host.test", Log: log, Clock: clock.System{}}),
		"pop":  pop,
		"lmtp": lmtpd.New(lmtpd.Options{Params: c.LMTPD, Hostname: "host.test", Directory: hosted, Store: store, Log: log, Clock: clock.System{},
			Plan: plan.New(plan.Options{Store: store, Plan: plan.ToInbox, Params: c.Store, Log: log}),
		}).Handler(),
	}
	addresses := map[string]string{}
	for name, handler := range handlers {
		s := storetest.Start(t, &service.Server{ServiceName: name, Handler: handler, Log: log, Clock: clock.System{}, Limits: service.Limits{DrainTimeout: time.Minute}}, nil)
		addresses[name] = s.Listeners[0].Addr().String()
	}
	return addresses
}

func subjectOf(text string) string {
	_, rest, _ := strings.Cut(text, "Subject: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}
