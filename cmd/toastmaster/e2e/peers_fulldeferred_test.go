package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDiskUnderDeferredMail: the volume of the queue alone is full to the last octet while mail waits in it. New mail is refused with 452 4.3.1; what waits is tried, what it comes to is known,
// and reports that are due have no room. Status and the log say what is wrong. A kill and a start change nothing. With room again all of it leaves, each message once, and each failure
// is reported once.
func TestFullDiskUnderDeferredMail(t *testing.T) {
	t.Parallel()
	h := newRemoteHost(t, map[string]string{"RCPT": "450 4.2.0 later"})
	disk := smallDisk(t, "96m")
	b := serve(t, map[string]string{"qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`, "queue.min_free": "0"})
	must(t, b.Stop())
	// The rest of the instance is where there is room.
	queue := filepath.Join(b.Data(), "queue")
	must(t, os.CopyFS(filepath.Join(disk, "queue"), os.DirFS(queue)))
	owner, err := os.Stat(queue)
	must(t, err)
	must(t, os.Chmod(filepath.Join(disk, "queue"), owner.Mode().Perm()))
	must(t, os.RemoveAll(queue))
	must(t, os.Mkdir(queue, 0o700))
	if err := syscall.Mount(filepath.Join(disk, "queue"), queue, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.Running() {
			must(t, b.Stop())
		}
		if err := syscall.Unmount(queue, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b.appendConfig(t, h.transport("remote.example"))
	b.start(t)

	const each = 12
	send := func(to string, size int) error {
		s, err := dialSMTP(b.SMTP(), "EHLO")
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = s.send(alice, []string{to}, "From: <"+alice+">\r\nSubject: "+to+"\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", size/72))
		return err
	}
	var accepted []string
	for i := range each {
		for _, kind := range []string{"ok", "bad"} {
			to := fmt.Sprintf("%s%d@remote.example", kind, i)
			must(t, send(to, 20_000*(1+i%4)))
			accepted = append(accepted, to)
		}
	}
	f := withQueue(t, b)
	eventually(t, func() error {
		for to, m := range f.listed(t) {
			if m.Place != "deferred" {
				return fmt.Errorf("%s is %s", to, m.Place)
			}
		}
		return nil
	})

	ballast := filepath.Join(disk, "ballast")
	full := func() {
		t.Helper()
		fill(t, ballast)
		if free := freeOf(t, disk); free > 4096 {
			t.Fatalf("%d octets are free", free)
		}
	}
	full()
	// The journal has room of its own, until it is full, too.
	next := each
	refused := func() {
		t.Helper()
		for last := next + 5000; ; next++ {
			to := fmt.Sprintf("ok%d@remote.example", next)
			err := send(to, 60_000)
			if err != nil && strings.HasPrefix(err.Error(), "452 4.3.1") {
				return
			}
			if must(t, err); next > last {
				t.Fatal("the disk is never full")
			}
			accepted = append(accepted, to)
		}
	}
	refused()
	// Some of it is refused for good now: reports are due, for which there is no room.
	h.set("RCPT TO:<bad", "550 5.1.1 nobody")
	_, err = b.Run(testContext(t), "", "queue", "flush")
	must(t, err)
	eventually(t, func() error {
		for i := range each {
			if n := h.count(fmt.Sprintf("<bad%d@", i)); n < 2 {
				return fmt.Errorf("bad%d was tried %d times", i, n)
			}
		}
		return nil
	})
	eventually(t, func() error {
		if log := b.LogTail(16 << 20); !strings.Contains(log, "no space left on device") || !strings.Contains(log, "report not queued") {
			return errors.New("the log does not say it: " + b.LogTail(3000))
		}
		return nil
	})
	refused()
	nothingLost := func() {
		t.Helper()
		left, told := f.listed(t), b.mail(t, alice, "")
		for _, to := range accepted {
			reported := 0
			for _, m := range told {
				reported += strings.Count(readFile(t, m), "Final-Recipient: rfc822; "+to+"\n")
			}
			if there := left[to].ID != ""; reported > 1 || !there && reported == 0 && !f.reportIn(t) {
				t.Errorf("%s: queued %v, reported %d times", to, there, reported)
			}
		}
	}
	nothingLost()
	b.Kill()
	full()
	must(t, b.SetParam("queue.min_free", `"1 MiB"`))
	b.start(t)
	full()
	nothingLost()
	eventually(t, func() error {
		if err := send("nobody@remote.example", 1000); err == nil || !strings.HasPrefix(err.Error(), "452 4.3.1") {
			return fmt.Errorf("new mail: %v", err)
		}
		out, err := b.Run(testContext(t), "", "status")
		if text := fmt.Sprint(out, err); err == nil || !strings.Contains(text, "degraded") || !strings.Contains(text, "new mail is refused (4.3.1)") {
			return errors.New(text)
		}
		return nil
	})

	must(t, os.Remove(ballast))
	eventually(t, func() error { return send("new@remote.example", 1000) })
	h.set("RCPT TO:<ok", "250 ok")
	h.set("RCPT TO:<new", "250 ok")
	b.flushUntilEmpty(t)
	taken := map[string]int{}
	for _, text := range h.messages() {
		_, subject, _ := strings.Cut(text, "Subject: ")
		subject, _, _ = strings.Cut(subject, "\n")
		taken[subject]++
	}
	reports := ""
	for _, m := range b.mail(t, alice, "") {
		reports += readFile(t, m)
	}
	for _, to := range append(accepted, "new@remote.example") {
		sent, told := taken[to], strings.Count(reports, "Final-Recipient: rfc822; "+to+"\n")
		if bad := strings.HasPrefix(to, "bad"); bad && (sent != 0 || told != 1) || !bad && (sent != 1 || told != 0) {
			t.Errorf("%s: arrived %d times, reported %d times", to, sent, told)
		}
	}
	if out, err := b.Run(testContext(t), "", "status"); err != nil {
		t.Errorf("status: %v\n%s", err, out)
	}
}

// reportIn says that a report is in the queue.
func (f flushBed) reportIn(t *testing.T) bool {
	t.Helper()
	return f.listed(t)[alice].ID != ""
}
