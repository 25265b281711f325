package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
)

// counted is a queue that refuses mail of some senders.
type counted struct {
	sent    map[string]int
	refused map[string]error
}

func (c *counted) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	sender := s.Envelope.Sender.String()
	if err := c.refused[sender]; err != nil {
		return "", err
	}
	c.sent[sender]++
	return envelope.QueueID(fmt.Sprint("F", len(c.sent))), s.Content.Close()
}

// TestAListIsSentOnOnce: two lists in one alias, of which one cannot be sent on: the members of the other get the message at the
// first attempt, and never again.
func TestAListIsSentOnOnce(t *testing.T) {
	t.Parallel()
	for status, attempts := range map[dsn.Status]int{dsn.MailSystem: 3, dsn.Policy: 1} {
		q := &counted{map[string]int{}, map[string]error{"owner-lista@here.test": dsn.New(status, "not now")}}
		a := made(t, disk(t), nil, `{all = lista, listb, c@far.test} {lista = a@far.test} {owner-lista = me} {listb = b@far.test} {owner-listb = me}`, nil)
		a.o.Submit = q
		for n := range attempts {
			got := deliver(t, request("all@here.test"), a)[0]
			if got.Err == nil || got.Err.Status != status || q.sent["owner-listb@here.test"] != 1 || q.sent["s@x.test"] != 1 {
				t.Errorf("attempt %d: %+v, sent %v", n, got, q.sent)
			}
		}
		if q.refused = nil; status == dsn.Policy {
			continue
		}
		if got := deliver(t, request("all@here.test"), a)[0]; got.Err != nil || q.sent["owner-lista@here.test"] != 1 || len(q.sent) != 3 || q.sent["owner-listb@here.test"] != 1 {
			t.Errorf("%+v, sent %v", got, q.sent)
		}
		if len(a.done) != 0 {
			t.Errorf("%d deliveries are remembered", len(a.done))
		}
	}
}

// TestAFailureIsOnce: a command that has refused the message for good does not get it again because another part
// waits; its failure is the result when that is over.
func TestAFailureIsOnce(t *testing.T) {
	t.Parallel()
	dir := spoolOf(t)
	q := &counted{map[string]int{}, map[string]error{"s@x.test": dsn.New(dsn.MailSystem, "not now")}}
	a := made(t, vfs.OS{}, nil, fmt.Sprintf(`{mixed = "|echo ran >>%[1]s/log; exit 67", x@far.test}`, dir), nil)
	a.o.Submit = q
	for range 3 {
		if got := deliver(t, request("mixed@here.test"), a)[0]; got.Err == nil || got.Err.Status != dsn.MailSystem {
			t.Errorf("%+v", got)
		}
	}
	q.refused = nil
	got := deliver(t, request("mixed@here.test"), a)[0]
	if got.Err == nil || got.Err.Text != "user unknown" || q.sent["s@x.test"] != 1 {
		t.Errorf("%+v, sent %v", got, q.sent)
	}
	if text := content(vfs.OS{}, filepath.Join(dir, "log")); text != "ran\n" {
		t.Errorf("%q", text)
	}
}

// TestCapitalsAreOthers in commands and files, but not in addresses.
func TestCapitalsAreOthers(t *testing.T) {
	t.Parallel()
	d := &delivery{seen: map[key]bool{}}
	for _, kind := range []kind{toCommand, toFile, toAddress, toMailbox} {
		for _, text := range []string{"x -A", "x -a", "x -A"} {
			d.add(step{kind: kind, text: text})
		}
	}
	if len(d.steps) != 2+2+1+1 {
		t.Errorf("%d steps", len(d.steps))
	}
}

// TestALongListIsRefusedWhole: beyond the limit nothing is delivered, the status says so, and memory is that of the limit, not of the list.
// It is not parallel: it asks how much memory was taken.
func TestALongListIsRefusedWhole(t *testing.T) {
	long := strings.Repeat("a, b, c, d, e, f, g, h\n", 100_000)
	for name, text := range map[string]string{"tokens": long, "octets": strings.Repeat("#"+strings.Repeat("x", 60_000)+"\n", 1200), "one too many": strings.Repeat("x@far.test\n", 101), "all": strings.Repeat("x@far.test\n", 90)} {
		d := disk(t)
		if err := vfs.Replace(d, "/home/me/.forward", []byte(text)); err != nil {
			t.Fatal(err)
		}
		q := &queued{}
		a := made(t, d, q, "{list = :include:/home/me/.forward} {alias = "+strings.Repeat("z@far.test, ", 150)+"z@far.test}", func(p *configs.Local) {
			p.ForwardPath, p.AliasLimit = []string{"$home/.forward"}, 100
		})
		for _, to := range []string{"me@here.test", "list@here.test"} {
			q.sent = nil
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			dl := &delivery{a: a, r: request(to), to: request(to).Envelope.Recipients[0], seen: map[key]bool{}}
			got := dl.run(t.Context())
			runtime.ReadMemStats(&after)
			if name == "all" {
				if got.err != nil || len(q.sent) != 1 {
					t.Errorf("%s to %s: %v, %d sent", name, to, got.err, len(q.sent))
				}
				continue
			}
			if got.err == nil || got.err.Status != dsn.Make(5, 2, 4) || len(dl.failed) != 1 || len(dl.steps) != 0 || len(q.sent) != 0 {
				t.Errorf("%s to %s: %v, %d failures, %d steps, %d sent", name, to, got.err, len(dl.failed), len(dl.steps), len(q.sent))
			}
			if took := after.TotalAlloc - before.TotalAlloc; name != "octets" && took > 4<<20 {
				t.Errorf("%s to %s: %d octets of memory", name, to, took)
			}
		}
		dl := &delivery{a: a, r: request("alias@here.test"), to: request("alias@here.test").Envelope.Recipients[0], seen: map[key]bool{}}
		if got := dl.run(t.Context()); got.err == nil || len(dl.failed) != 1 || dl.lookups > 101 {
			t.Errorf("%v, %d failures, %d were looked at", got.err, len(dl.failed), dl.lookups)
		}
	}
}

// TestAStopIsNoShortList: what is found when the server stops in the middle of an expansion is nothing to be done.
func TestAStopIsNoShortList(t *testing.T) {
	t.Parallel()
	q := &queued{}
	ctx, stop := context.WithCancel(t.Context())
	d := disk(t)
	faults := faultfs.Wrap(d)
	if err := vfs.Replace(d, "/home/list", []byte("x@far.test\ny@far.test\n")); err != nil {
		t.Fatal(err)
	}
	faults.Hook(func(_ faultfs.Op, name string) error {
		if name == "/home/list" {
			stop()
		}
		return nil
	})
	a := made(t, faults, q, "{list = z@far.test, :include:/home/list}", nil)
	var told atomic.Int32
	a.Deliver(ctx, request("list@here.test"), func(agent.Result) { told.Add(1) })
	if told.Load() != 0 || len(q.sent) != 0 {
		t.Errorf("%d results, %d sent", told.Load(), len(q.sent))
	}
}

// TestWhoReadsAList: what a user's folder holds is read as he may, whoever has named it, so that no link of his shows him what is not
// his; what only root can change is root's.
func TestWhoReadsAList(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("who is not root reads as itself")
		return
	}
	dir, err := os.MkdirTemp("/", "tm-lists-") // the folders above are root's, as /etc/mail
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	u := who(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(all ...error) {
		t.Helper()
		if err := errors.Join(all...); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, uid int, mode os.FileMode) {
		t.Helper()
		must(os.WriteFile(at(name), []byte("x@far.test\n"), 0o600), os.Chown(at(name), uid, -1), os.Chmod(at(name), mode))
	}
	must(os.Mkdir(at("his"), 0o755), os.Mkdir(at("roots"), 0o755), os.Mkdir(at("all"), 0o777), os.Mkdir(at("group"), 0o775))
	write("roots/closed", 0, 0o600)
	write("roots/open", 0, 0o644)
	write("his/own", u.UID, 0o600)
	write("his/roots", 0, 0o600)
	write("group/list", 0, 0o640)
	must(os.Chmod(at("all"), 0o777|os.ModeSticky), os.Chmod(at("group"), 0o775), os.Chown(at("group"), 0, 8), os.Chown(at("group/list"), 0, 8))
	for name, target := range map[string]string{"his/link": at("roots/closed"), "his/openlink": at("roots/open"), "his/relative": "../roots/closed", "all/link": at("roots/closed"), "roots/link": at("roots/closed"), "roots/tohis": "../his", "roots/relative": "./closed"} {
		must(os.Symlink(target, at(name)))
	}
	must(os.Chown(at("his"), u.UID, u.GID))
	for name, reads := range map[string]bool{
		"roots/closed": true, "roots/link": true, "roots/relative": true, "his/own": true, "his/openlink": true, "group/list": true, "his/../roots/closed": true,
		"his/link": false, "his/relative": false, "all/link": false, "his/roots": false, "roots/tohis/link": false, "roots/tohis/own": true,
	} {
		q := &queued{}
		got := deliver(t, request("list@here.test"), made(t, vfs.OS{}, q, fmt.Sprintf("{list = :include:%s}", at(name)), nil))[0]
		if (got.Err == nil) != reads || (len(q.sent) == 1) != reads || got.Err != nil && !got.Err.Temporary() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestEachFailureOfADelivery: whatever operation fails once, with whatever error, mail waits, and a mailbox file is as long as it was,
// with nothing left beside it; in a Maildir there is nothing, or the whole message, which is not there twice after another try.
func TestEachFailureOfADelivery(t *testing.T) {
	t.Parallel()
	const old = "From a@b  Mon Jan  1 00:00:00 2024\n\nold\n\n"
	for _, fault := range []error{faultfs.ENOSPC, faultfs.EIO, syscall.EDQUOT} {
		for _, c := range []struct {
			name, before string
			maildir      bool
		}{{"a new file", "", false}, {"a file", old, false}, {"a Maildir", "", true}} {
			for n, over := 1, false; !over; n++ {
				d := disk(t)
				if c.before != "" {
					if err := vfs.Replace(d, "/spool/me", []byte(c.before)); err != nil {
						t.Fatal(err)
					}
				}
				faults := faultfs.Wrap(d)
				faults.FailNth(faultfs.Any, n, fault)
				a := made(t, faults, &queued{}, "", func(p *configs.Local) {
					if c.maildir {
						p.MailSpoolDirectory = "/spool/"
					}
				})
				got := deliver(t, request("me@here.test"), a)[0]
				over = faults.Count(faultfs.Any) < n
				where := fmt.Sprintf("%s, %v, operation %d", c.name, fault, n)
				if got.Err != nil && !got.Err.Temporary() {
					t.Errorf("%s: %v", where, got.Err)
				}
				if want := statusOf(fault); got.Err != nil && got.Err.Status != want {
					t.Errorf("%s: %v, want %v", where, got.Err.Status, want)
				}
				if c.maildir {
					now := inMaildir(t, d)
					if len(now) > 1 || got.Err == nil && len(now) != 1 || got.Err == nil && !slices.Equal(inMaildir(t, d.Crash()), now) {
						t.Errorf("%s: %v, %q", where, got.Err, now)
					}
				} else if now := content(d, "/spool/me"); got.Err != nil && now != c.before || got.Err == nil && (now == c.before || content(d.Crash(), "/spool/me") != now) {
					t.Errorf("%s: %v, the file has %q", where, got.Err, now)
				}
				if _, err := d.Stat("/spool/me.lock"); err == nil && !over && got.Err == nil && n != faults.Count(faultfs.Any) {
					t.Errorf("%s: the lock stays", where)
				}
				faults.Heal()
				if err := d.Remove("/spool/me.lock"); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				if got.Err == nil {
					continue
				}
				if again := deliver(t, request("me@here.test"), a)[0]; again.Err != nil {
					t.Errorf("%s, again: %v", where, again.Err)
				}
				if now := inMaildir(t, d); c.maildir && len(now) != 1 {
					t.Errorf("%s, again: %q", where, now)
				} else if now := content(d, "/spool/me"); !c.maildir && strings.Count(now, ">From y\n") != 1 {
					t.Errorf("%s, again: %q", where, now)
				}
			}
		}
	}
}

// inMaildir are the contents of the user's Maildir.
func inMaildir(t *testing.T, d *faultfs.Disk) (all []string) {
	t.Helper()
	for _, sub := range []string{"/spool/me/new", "/spool/me/cur"} {
		entries, err := d.ReadDir(sub)
		if err != nil {
			continue
		}
		for _, e := range entries {
			f, err := d.OpenFile(filepath.Join(sub, e.Name()), os.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil || !strings.HasSuffix(string(text), "\n\nFrom y\n") {
				t.Errorf("%s: %q %v", e.Name(), text, err)
			}
			all = append(all, string(text))
		}
	}
	return all
}

// statusOf is what an error of the disk is to the sender.
func statusOf(err error) dsn.Status {
	switch {
	case errors.Is(err, syscall.EDQUOT):
		return dsn.MailboxFullNow
	case errors.Is(err, syscall.ENOSPC):
		return dsn.SystemFull
	}
	return dsn.Make(4, 2, 0)
}
