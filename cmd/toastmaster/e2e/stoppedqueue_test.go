package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"toastmaster/admin/model"
)

// queueFiles are the names, times and octets of a queue.
func queueFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if !d.IsDir() {
			octets, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprint(info.ModTime().UnixNano(), sha256.Sum256(octets))
		}
		all[path] = text
		return nil
	}))
	return all
}

// stoppedWithMail is an instance with mail that is deferred and on hold.
func stoppedWithMail(t *testing.T) flushBed {
	t.Helper()
	f := withDeferred(t, map[string]string{"qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`}, "a@moving.example", "b@moving.example", "c@waiting.example")
	f.wait(t, map[string]int{"a@moving.example": 1, "b@moving.example": 1, "c@waiting.example": 1})
	if code, out, errs := f.admin.run(t, "", "queue", "hold", f.listed(t)["c@waiting.example"].ID); code != 0 {
		t.Fatal(out, errs)
	}
	return f
}

// withStalled adds a message in the journal whose delivery does not end: small, or with a content file of its own.
func (f flushBed) withStalled(t *testing.T, to string, size int) (id string) {
	t.Helper()
	if code, out, errs := f.submit.run(t, smallMessage+strings.Repeat("line\n", size/5), "-i", "-f", alice, to); code != 0 {
		t.Fatal(code, out, errs)
	}
	eventually(t, func() error {
		m := f.listed(t)[to]
		if id = m.ID; m.Place != "active" {
			return fmt.Errorf("%s is %q", to, m.Place)
		}
		return nil
	})
	return id
}

// stall makes a destination that takes connections and says nothing.
func (f flushBed) stall(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	must(t, f.Stop())
	file, err := os.OpenFile(f.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_, err = fmt.Fprintf(file, "\n[[transport]]\nname = \"stall\"\nagent = \"smtp\"\ndomains = [\"stall.example\"]\nnexthop = \"[127.0.0.1]:%s\"\n", port)
	must(t, err)
	must(t, file.Close())
	f.start(t)
}

// TestStoppedJournal: what lies in the journal of an instance that was killed is listed, printed, held and deleted, too.
func TestStoppedJournal(t *testing.T) {
	t.Parallel()
	f := withDeferred(t, nil)
	f.stall(t)
	small, large, gone := f.withStalled(t, "small@stall.example", 0), f.withStalled(t, "large@stall.example", 1<<20), f.withStalled(t, "gone@stall.example", 1<<20)
	f.Kill()
	list := f.listed(t)
	for to, id := range map[string]string{"small@stall.example": small, "large@stall.example": large, "gone@stall.example": gone} {
		if m := list[to]; m.ID != id || m.Place != "incoming" || m.Sender != alice {
			t.Errorf("%s: %+v", to, m)
		}
		code, out, errs := newProgram(t, f.box, "postcat").run(t, "", "-bh", "-q", id)
		if code != 0 || !strings.Contains(out, "Subject: hello\n") || to != "small@stall.example" && strings.Count(out, "line\n") != 1<<20/5 {
			t.Errorf("%s: %d %s, %d octets", to, code, errs, len(out))
		}
	}
	postsuper := newProgram(t, f.box, "postsuper")
	if code, _, errs := postsuper.run(t, "", "-h", small, "-h", large, "-d", gone); code != 0 {
		t.Error(errs)
	}
	for _, again := range []bool{false, true} {
		if again {
			f.start(t)
		}
		list = f.listed(t)
		if len(list) != 2 || list["small@stall.example"].Place != "hold" || list["large@stall.example"].Place != "hold" {
			t.Errorf("%+v", list)
		}
	}
	if left, err := os.ReadDir(filepath.Join(f.Data(), "queue", "content")); err != nil || len(left) > 0 {
		t.Errorf("contents are left: %v %v", left, err)
	}
	if code, out, errs := newProgram(t, f.box, "postcat").run(t, "", "-b", "-q", large); code != 0 || strings.Count(out, "line\n") != 1<<20/5 {
		t.Errorf("%d %s, %d octets", code, errs, len(out))
	}
}

// TestStoppedQueueIsRead: what lists and prints the queue has the same of an instance that does not run, from its files,
// which stay as they are to the last octet and time.
func TestStoppedQueueIsRead(t *testing.T) {
	t.Parallel()
	f := stoppedWithMail(t)
	postqueue, postcat, qshape, mailq := newProgram(t, f.box, "postqueue"), newProgram(t, f.box, "postcat"), newProgram(t, f.box, "qshape"), newProgram(t, f.box, "mailq")
	ids := f.listed(t)
	one := ids["a@moving.example"].ID
	type question struct {
		p    sendmail
		args []string
	}
	questions := []question{
		{postqueue, []string{"-p"}}, {postqueue, []string{"-j"}}, {mailq, nil}, {postcat, []string{"-q", one, ids["c@waiting.example"].ID}}, {qshape, []string{"deferred", "hold"}},
		{f.admin, []string{"queue", "list"}}, {f.admin, []string{"queue", "list", "--json"}}, {f.admin, []string{"queue", "show", one}}, {f.admin, []string{"queue", "cat", one}},
	}
	var before []string
	for _, q := range questions {
		code, out, errs := q.p.run(t, "", q.args...)
		if code != 0 || errs != "" {
			t.Fatal(q.args, code, errs)
		}
		before = append(before, out)
	}
	f.Kill()
	files := queueFiles(t, filepath.Join(f.Data(), "queue"))
	for i, q := range questions {
		code, out, errs := q.p.run(t, "", q.args...)
		if code != 0 || out != before[i] {
			t.Errorf("%v: exit %d %s\n%s\nwhile it ran:\n%s", q.args, code, errs, out, before[i])
		}
		if down := strings.HasSuffix(errs, "Mail system is down -- accessing queue directly\n"); down == (q.args != nil && q.args[0] == "-q" || q.args != nil && q.args[0] == "deferred") {
			t.Errorf("%v: %q", q.args, errs)
		}
	}
	if now := queueFiles(t, filepath.Join(f.Data(), "queue")); !maps.Equal(files, now) {
		t.Errorf("the files have changed")
	}
	for _, args := range [][]string{{"-f"}, {"-s", "moving.example"}, {"-i", one}} {
		if code, _, errs := postqueue.run(t, "", args...); code != 69 || !strings.HasPrefix(errs, "postqueue: fatal: ") {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}

// TestStoppedQueueIsChanged: postsuper works on the files of an instance that does not run, and the next start has
// what it made of them.
func TestStoppedQueueIsChanged(t *testing.T) {
	t.Parallel()
	f := stoppedWithMail(t)
	postsuper := newProgram(t, f.box, "postsuper")
	ids := f.listed(t)
	a, b, c := ids["a@moving.example"].ID, ids["b@moving.example"].ID, ids["c@waiting.example"].ID
	f.Kill()
	for _, step := range []struct {
		args []string
		says string
	}{
		{[]string{"-d", a}, "postsuper: " + a + ": removed\npostsuper: Deleted: 1 message\n"},
		{[]string{"-d", a}, "postsuper: Deleted: 0 messages\n"},
		{[]string{"-h", b}, "postsuper: " + b + ": placed on hold\npostsuper: Placed on hold: 1 message\n"},
		{[]string{"-H", c}, "postsuper: " + c + ": released from hold\npostsuper: Released from hold: 1 message\n"},
	} {
		if code, out, errs := postsuper.run(t, "", step.args...); code != 0 || out != "" || errs != step.says {
			t.Errorf("%v: %d %s%s", step.args, code, out, errs)
		}
	}
	if code, out, _ := newProgram(t, f.box, "postqueue").run(t, "", "-p"); code != 0 || strings.Contains(out, a) || !strings.Contains(out, b+"!") || !strings.Contains(out, c+" ") {
		t.Errorf("%s", out)
	}
	f.start(t)
	f.wait(t, map[string]int{"b@moving.example": 1, "c@waiting.example": 2})
	if m := f.listed(t); m["b@moving.example"].Place != "hold" {
		t.Errorf("%+v", m)
	}
}

// TestStartWhilePostsuperWorks: an instance that starts while a command works on its files, which is killed again and
// again, and readers that come between, never meet in the queue: no message is lost, none comes twice, each is where
// the last finished command put it.
func TestStartWhilePostsuperWorks(t *testing.T) {
	t.Parallel()
	f := stoppedWithMail(t)
	postsuper, postqueue := newProgram(t, f.box, "postsuper"), newProgram(t, f.box, "postqueue")
	f.Kill()
	ids := []string{}
	for _, m := range f.listed(t) {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	for round := range 12 {
		hold := []string{"-h", "-H"}[round%2]
		cmd := exec.CommandContext(testContext(t), postsuper.path, hold, "ALL")
		cmd.Env = postsuper.env
		must(t, cmd.Start())
		var wg sync.WaitGroup
		wg.Go(func() {
			if code, out, errs := postqueue.run(t, "", "-j"); code != 0 || strings.Count(out, "\n") != len(ids) {
				t.Errorf("round %d: %d %s\n%s", round, code, errs, out)
			}
		})
		if round%3 == 0 {
			time.Sleep(time.Duration(round) * 5 * time.Millisecond)
			must(t, cmd.Process.Signal(syscall.SIGKILL))
		}
		f.start(t) // waits for the command, or finds what it left
		err := cmd.Wait()
		wg.Wait()
		if round%3 != 0 && err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		var got []string
		for _, m := range f.listed(t) {
			got = append(got, m.ID)
		}
		if slices.Sort(got); !slices.Equal(got, ids) {
			t.Fatalf("round %d: %v, want %v", round, got, ids)
		}
		f.Kill()
	}
	f.start(t)
}

// TestReadersOfARunningStart: while an instance starts and stops, who lists the queue always has all of it.
func TestReadersOfARunningStart(t *testing.T) {
	t.Parallel()
	f := stoppedWithMail(t)
	postqueue := newProgram(t, f.box, "postqueue")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	reads := 0
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			code, out, errs := postqueue.run(t, "", "-j")
			if code == 0 && strings.Count(out, "\n") != 3 {
				t.Errorf("%s%s", out, errs)
			}
			// A connection that the stop cuts off is told, and asked again.
			if code == 0 {
				reads++
			}
			for line := range strings.Lines(out) {
				var m model.QueuedMessage
				if err := json.Unmarshal([]byte(line), &m); err != nil {
					t.Error(err, line)
				}
			}
		}
	})
	for range 4 {
		must(t, f.Stop())
		f.start(t)
		f.Kill()
		f.start(t)
	}
	close(stop)
	wg.Wait()
	if reads == 0 {
		t.Error("nobody could read")
	}
}
