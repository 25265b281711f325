package agent_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/trace"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// folder is an agent that writes each message as a file, to copy from: it says that a
// recipient has the message when the file is whole, and durable with its name.
type folder struct {
	fs   vfs.FS
	path string
}

// Deliver implements agent.Agent.
func (a folder) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	for _, i := range r.Recipients {
		if ctx.Err() != nil {
			return // what is not reported waits
		}
		name, err := a.write(r, i)
		switch {
		case err == nil:
			report(agent.Result{Recipient: i, Relay: "folder", Action: agent.Sent, Text: "written to " + name, Effect: queue.EffectFinal})
		case spool.IsFull(err):
			report(agent.Result{Recipient: i, Relay: "folder", Err: dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)})
		default:
			report(agent.Result{Recipient: i, Relay: "folder", Err: dsn.From(err)})
		}
	}
}

// write makes the file of one recipient. Its name is that of the delivery: when the
// message is handed out again after a crash the file is there, and whole, because it got
// its name after its sync.
func (a folder) write(r *agent.Request, i int) (name string, err error) {
	to := &r.Envelope.Recipients[i]
	name = envelope.DeliveryID(r.Envelope.ID, to.Address) + ".eml"
	f, err := a.fs.OpenTemp(a.path, 0o600)
	if err != nil {
		return name, err
	}
	defer f.Close()
	head := trace.Final{ReturnPath: r.Envelope.Sender.Path(), To: to.Address, Original: to.Original}
	if _, err := f.Write(head.Append(nil)); err != nil {
		return name, err
	}
	if _, err := io.Copy(f, envelope.Reader(r.Content)); err != nil {
		return name, err
	}
	if err := f.Sync(); err != nil {
		return name, err
	}
	if err := f.LinkTo(filepath.Join(a.path, name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return name, err
	}
	return name, a.fs.SyncDir(a.path)
}

// TestTheExampleSurvives: each operation fails in turn, and all after it, and then the
// power; what was reported is there, and the rest is there after another try, once.
func TestTheExampleSurvives(t *testing.T) {
	t.Parallel()
	r := &agent.Request{
		Envelope: &envelope.Envelope{ID: "Q1", Sender: addr.Address{Local: "s", Domain: "x.test"}},
		Content:  envelope.Memory("Subject: x\n\ny\n"), Recipients: []int{0, 1},
	}
	for _, local := range []string{"a", "b"} {
		to := addr.Address{Local: local, Domain: "y.test"}
		r.Envelope.Recipients = append(r.Envelope.Recipients, envelope.Recipient{Address: to, Original: to})
	}
	whole := func(disk vfs.FS, i int) bool {
		f, err := disk.OpenFile(filepath.Join("/out", envelope.DeliveryID("Q1", r.Envelope.Recipients[i].Address)+".eml"), os.O_RDONLY, 0)
		if err != nil {
			return false
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		return err == nil && string(text) == "Return-Path: <s@x.test>\nDelivered-To: "+r.Envelope.Recipients[i].Address.String()+"\nSubject: x\n\ny\n"
	}
	for n := 1; ; n++ {
		disk := faultfs.NewDisk()
		if err := errors.Join(disk.Mkdir("/out", 0o700), disk.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		faults := faultfs.Wrap(disk)
		faults.FailFrom(faultfs.Any, n, faultfs.ENOSPC)
		done := map[int]bool{}
		folder{faults, "/out"}.Deliver(t.Context(), r, func(got agent.Result) {
			done[got.Recipient] = got.Err == nil
			if got.Err != nil && got.Err.Status != dsn.SystemFull {
				t.Errorf("operation %d: %v", n, got.Err)
			}
		})
		after := disk.Crash()
		for i := range r.Recipients {
			if done[i] && !whole(after, i) {
				t.Errorf("operation %d: recipient %d was reported, and is lost", n, i)
			}
		}
		folder{after, "/out"}.Deliver(t.Context(), r, func(got agent.Result) {
			if got.Err != nil || got.Effect != queue.EffectFinal {
				t.Errorf("operation %d, again: %+v", n, got)
			}
		})
		files, err := after.ReadDir("/out")
		if err != nil || len(files) != 2 || !whole(after, 0) || !whole(after, 1) {
			t.Errorf("operation %d: %v %v", n, files, err)
		}
		if faults.Count(faultfs.Any) < n {
			return // every operation has failed once
		}
	}
}
