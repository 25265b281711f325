package storetest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
)

// A worker is this test program once more, as a process of its own that has the store
// open and does what it is told, a line of JSON each. The environment says so.
const (
	workerRoot  = "TOASTMASTER_TEST_STORE"
	workerStore = "TOASTMASTER_TEST_STORE_PARAMETERS"
)

// order is what a worker is to do, N times with a number behind Name when N is set.
type order struct {
	Do    string
	Name  string
	To    string `json:",omitempty"`
	Flags []imap.Flag
	// UID, or Subject, is that of a message.
	UID     imap.UID
	Subject string
	N       int
	// Quota is that of the account, in messages, Asked when the directory said so.
	Quota int64
	Asked time.Time
}

// answer is what came of it.
type answer struct {
	Err string
	// Done counts what was done of N.
	Done   int
	Status mailstore.Status
	// Folders, and messages by UID.
	Folders  []mailstore.Folder
	Messages []stored
	Usage    mailstore.Usage
	UIDs     []uint32
	// Records are the header fields and sort keys of messages, as their records have
	// them.
	Records []string
}

type stored struct {
	UID     imap.UID
	Subject string
	Flags   []imap.Flag
	ModSeq  uint64
}

// work is the main program of a worker.
func work(root string) int {
	c := configs.Default().Store
	c.JournalSegment = 1 << 20
	err := json.Unmarshal([]byte(os.Getenv(workerStore)), &c)
	if err == nil {
		err = serveOrders(context.Background(), root, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveOrders(ctx context.Context, root string, c configs.Store) (err error) {
	s, err := mailstore.Open(ctx, mailstore.Options{
		Root: root, FS: vfs.OS{}, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "host.test", Store: c,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	running := make(chan error, 1)
	go func() { running <- s.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-running, s.Close())
	}()
	w := &working{store: s}
	defer w.close()
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{}); err != nil { // it is open
		return err
	}
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return nil // the end of the input is that of the work
		}
		if err := out.Encode(w.do(ctx, o)); err != nil {
			return err
		}
	}
}

// working is a worker at work.
type working struct {
	store *mailstore.Store
	user  *mailstore.User
	view  *mailstore.View
}

func (w *working) close() {
	if w.view != nil {
		_ = w.view.Close()
	}
	if w.user != nil {
		_ = w.user.Close()
	}
}

func (w *working) do(ctx context.Context, o order) (a answer) {
	acc := aliceAccount(o.Quota).AskedAt(o.Asked)
	if o.Do == "log out" {
		w.close()
		w.user, w.view = nil, nil
		return a
	}
	if w.user == nil && o.Asked.IsZero() {
		u, err := w.store.User(ctx, acc)
		if err != nil {
			return answer{Err: err.Error()}
		}
		w.user = u
	}
	for i := range max(o.N, 1) {
		one := o
		if o.N > 0 {
			one.Name = o.Name + strconv.Itoa(i)
		}
		if err := w.one(ctx, acc, one, &a); err != nil {
			a.Err = err.Error()
			if !strings.HasPrefix(o.Do, "try ") {
				return a
			}
			continue
		}
		a.Done++
	}
	return a
}

func aliceAccount(quota int64) mailstore.Account {
	return mailstore.Account{Home: "example.test/alice", QuotaMessages: quota}
}

// one does one thing.
func (w *working) one(ctx context.Context, acc mailstore.Account, o order, a *answer) (err error) {
	u := w.user
	switch strings.TrimPrefix(o.Do, "try ") {
	case "deliver", "deliver durably":
		d := &mailstore.Delivery{Content: text(o.Name), Flags: o.Flags, Folder: o.To, Durable: o.Do == "deliver durably"}
		if err = w.store.Deliver(ctx, acc, d); err == nil {
			a.UIDs = append(a.UIDs, d.UID)
		}
	case "reserve":
		err = w.store.Reserve(ctx, acc, o.Name, 1)
	case "create":
		err = u.Create(ctx, o.Name, imap.MailboxAttr(o.To))
	case "new folder":
		if err = u.Create(ctx, o.Name, ""); err == nil {
			err = u.Subscribe(ctx, o.Name, true)
		}
	case "delete":
		err = u.Delete(ctx, o.Name)
	case "rename":
		err = u.Rename(ctx, o.Name, o.To)
	case "subscribe":
		err = u.Subscribe(ctx, o.Name, true)
	case "unsubscribe":
		err = u.Subscribe(ctx, o.Name, false)
	case "list":
		a.Folders, err = u.List(ctx)
	case "status":
		a.Status, err = u.Status(ctx, o.Name)
		a.UIDs = append(a.UIDs, a.Status.UIDValidity)
	case "usage":
		a.Usage, err = w.store.Usage(ctx, acc)
	case "remove account":
		err = w.store.RemoveAccount(ctx, acc)
	case "messages":
		err = w.with(ctx, o.Name, func(v *mailstore.View) (err error) {
			a.Messages, err = storedIn(ctx, v)
			return err
		})
	case "records": // all of them, whole
		a.Records = nil
		err = w.with(ctx, o.Name, func(v *mailstore.View) error {
			var m mime.Message
			for seq := range uint32(v.Len()) {
				if err := v.Record(ctx, seq+1, &m, true); err != nil {
					return err
				}
				a.Records = append(a.Records, string(m.Fields.Lines)+string(m.Keys))
			}
			return nil
		})
	case "flag", "expunge", "move", "copy":
		err = w.with(ctx, o.Name, func(v *mailstore.View) (err error) {
			seq := v.Seq(o.UID)
			if o.Subject != "" {
				if seq, err = seqOf(ctx, v, o.Subject); err != nil {
					return err
				}
			}
			if seq == 0 {
				return mailstore.ErrExpunged
			}
			switch o.Do {
			case "flag":
				_, err = v.SetFlags(ctx, []uint32{seq}, mailstore.FlagsAdd, o.Flags, 0)
			case "expunge":
				err = v.Expunge(ctx, []uint32{seq})
			case "move":
				_, _, err = v.Move(ctx, []uint32{seq}, o.To)
			case "copy":
				_, _, err = v.Copy(ctx, []uint32{seq}, o.To)
			}
			return err
		})
	case "keyword":
		err = w.with(ctx, "INBOX", func(v *mailstore.View) error {
			_, err := v.SetFlags(ctx, []uint32{1}, mailstore.FlagsAdd, []imap.Flag{imap.Flag(o.Name)}, 0)
			return err
		})
	case "watch": // from now on
		if w.view != nil {
			if err := w.view.Close(); err != nil {
				return err
			}
		}
		if w.view, err = u.Open(ctx, o.Name, false); err == nil {
			a.Messages, err = storedIn(ctx, w.view)
		}
	case "wait": // until what is watched may have changed
		select {
		case <-w.view.Changed():
			if _, err = w.view.Update(ctx, true); err == nil {
				a.Messages, err = storedIn(ctx, w.view)
			}
		case <-time.After(time.Minute):
			err = errors.New("nothing changes")
		}
	default:
		err = fmt.Errorf("order %q", o.Do)
	}
	return err
}

func (w *working) with(ctx context.Context, name string, f func(*mailstore.View) error) error {
	v, err := w.user.Open(ctx, name, false)
	if err != nil {
		return err
	}
	return errors.Join(f(v), v.Close())
}

// seqOf is the message with a subject, 0 for none.
func seqOf(ctx context.Context, v *mailstore.View, subject string) (uint32, error) {
	all, err := storedIn(ctx, v)
	i := slices.IndexFunc(all, func(m stored) bool { return m.Subject == subject })
	return uint32(i + 1), err
}

func storedIn(ctx context.Context, v *mailstore.View) (all []stored, err error) {
	for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
		m := v.Message(seq)
		one := stored{UID: m.UID, Flags: m.Flags, ModSeq: m.ModSeq}
		c, err := v.Read(ctx, seq)
		if err != nil && !errors.Is(err, mailstore.ErrExpunged) {
			return nil, err
		}
		if err == nil {
			b := make([]byte, c.Size())
			n, _ := envelope.Reader(c).Read(b)
			one.Subject = subjectOf(strings.ReplaceAll(string(b[:n]), "\n", "\r\n"))
			if err := c.Close(); err != nil {
				return nil, err
			}
		}
		all = append(all, one)
	}
	return all, nil
}

func text(id string) envelope.Memory {
	return envelope.Memory(strings.ReplaceAll(message(id), "\r\n", "\n"))
}

// worker is one, as the test sees it.
type worker struct {
	root string
	cmd  *exec.Cmd
	in   *json.Encoder
	out  *json.Decoder
	end  func() error // of its input
}

// startWorker begins one on the store in root; parameters are fields of configs.Store.
func startWorker(t *testing.T, root string, parameters map[string]any) *worker {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{root: root, cmd: exec.Command(self)}
	w.cmd.Env = append(os.Environ(), workerRoot+"="+root, workerStore+"="+string(p))
	w.cmd.Stderr = os.Stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.in, w.out, w.end = json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out)), in.Close
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	var open answer
	if err := w.out.Decode(&open); err != nil {
		t.Fatal(err)
	}
	return w
}

// try has an order done. An error is that of a process that ended.
func (w *worker) try(o order) (a answer, err error) {
	if err := w.in.Encode(o); err != nil {
		return a, err
	}
	return a, w.out.Decode(&a)
}

// do has an order done, which must work.
func (w *worker) do(t *testing.T, o order) answer {
	t.Helper()
	a, err := w.try(o)
	if err != nil || a.Err != "" && !strings.HasPrefix(o.Do, "try ") {
		t.Errorf("%+v: %v %s", o, err, a.Err)
	}
	return a
}

// kill ends it as kill -9 does.
func (w *worker) kill() {
	if w.cmd.ProcessState != nil {
		return
	}
	_ = w.cmd.Process.Kill() // it may have ended
	_ = w.cmd.Wait()
}

// stop ends it in order.
func (w *worker) stop(t *testing.T) {
	t.Helper()
	if err := errors.Join(w.end(), w.cmd.Wait()); err != nil {
		t.Error(err)
	}
}

func (w *worker) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
