package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestMailGoesOnWithoutTheLog: nobody reads the log, a pipe. Mail is accepted and
// stored, the state says degraded, and when somebody reads the log says how many
// lines are missing. A reader that ends ends nothing; nor does a stop wait.
func TestMailGoesOnWithoutTheLog(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "log")
	must(t, syscall.Mkfifo(pipe, 0o600))
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0)
	must(t, err)
	defer reader.Close()
	b := serve(t, map[string]string{"log.file": strconv.Quote(pipe), "log.buffer": `"64 KiB"`})
	const mails = 400
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			c, err := dialSMTP(b.SMTP(), "EHLO")
			if err != nil {
				t.Error(err)
				return
			}
			for i := range mails / 4 {
				if _, err := c.send("sender@remote.test", []string{alice}, fmt.Sprintf("Subject: %d-%d\r\n\r\ntext\r\n", n, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.waitMail(t, alice, mails)
	out, err := b.Run(testContext(t), "", "status")
	if err == nil || !strings.Contains(out, "log") || !strings.Contains(out+err.Error(), "degraded") {
		t.Errorf("status: %v\n%s", err, out)
	}
	if got := get(t, "http://"+b.Admin()+"/healthz"); got != "200 degraded: log\n" {
		t.Errorf("/healthz: %s", got)
	}

	dropped, last := 0, ""
	lines := bufio.NewScanner(reader)
	for dropped == 0 && lines.Scan() {
		if _, n, ok := strings.Cut(lines.Text(), `"log lines dropped" lines=`); ok {
			dropped, err = strconv.Atoi(n)
			must(t, err)
		}
		last = lines.Text()
	}
	if dropped == 0 {
		t.Errorf("no line says how many were dropped; the last is %s", last)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	eventually(t, func() error {
		_, err := b.Run(testContext(t), "", "status")
		return err
	})
	if got := get(t, "http://"+b.Admin()+"/healthz"); got != "200 ready\n" {
		t.Errorf("/healthz later: %s", got)
	}

	// The reader ends.
	must(t, reader.Close())
	b.sendOne(t, "sender@remote.test", alice, "after the reader")
	b.waitMail(t, alice, mails+1)
	must(t, b.Stop())
}

// TestReaderOfStandardErrorEnds: the pipe on standard error breaks, which is a
// SIGPIPE for whoever writes to it next.
func TestReaderOfStandardErrorEnds(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"log.flush": `"0s"`})
	must(t, b.Stop())
	c := exec.Command(program, "serve", "--config", b.ConfigFile())
	stderr, err := c.StderrPipe()
	must(t, err)
	must(t, c.Start())
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "toastmaster: ready") {
	}
	must(t, stderr.Close())
	for range 3 { // the first connection is logged into the broken pipe
		b.sendOne(t, "sender@remote.test", alice, "nobody reads")
	}
	b.waitMail(t, alice, 3)
	must(t, c.Process.Signal(syscall.SIGTERM))
	must(t, c.Wait())
}

// TestStopWithoutAReaderOfStandardError: the pipe on standard error, which is the
// log, is full and stays full. A stop ends all the same.
func TestStopWithoutAReaderOfStandardError(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	must(t, b.Stop())
	pipe := filepath.Join(t.TempDir(), "stderr")
	must(t, syscall.Mkfifo(pipe, 0o600))
	ours, err := os.OpenFile(pipe, os.O_RDWR, 0)
	must(t, err)
	defer ours.Close()
	c := exec.Command(program, "serve", "--config", b.ConfigFile())
	c.Stderr, err = os.OpenFile(pipe, os.O_WRONLY, 0)
	must(t, err)
	must(t, c.Start())
	lines := bufio.NewScanner(ours)
	for lines.Scan() && !strings.Contains(lines.Text(), "toastmaster: ready") {
	}
	fillPipe(t, pipe)
	must(t, c.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-ended: // status 1: the log is not whole
	case <-testContext(t).Done():
		must(t, c.Process.Kill())
		t.Errorf("the stop did not end: %v", <-ended)
	}
}

// fillPipe writes until nothing fits.
func fillPipe(t *testing.T, pipe string) {
	t.Helper()
	fd, err := syscall.Open(pipe, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	must(t, err)
	for size := 4096; size > 0; {
		if _, err := syscall.Write(fd, make([]byte, size)); err != nil {
			size /= 2
		}
	}
	must(t, syscall.Close(fd))
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	must(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	return fmt.Sprint(r.StatusCode, " ", string(text))
}
