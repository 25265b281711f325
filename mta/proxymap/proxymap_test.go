package proxymap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/directory/tables"
	"toastmaster/internal/netstring"
	"toastmaster/internal/testkit/peers"
)

// TestAnswers: the words are those of socketmap_table(5), to the octet.
func TestAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		write(t, r.dir, "access", "192.0.2.1 REJECT no mail  from there\nbig "+strings.Repeat("x", 99_998)+"\nfits "+strings.Repeat("x", 99_997)+"\n")
		write(t, r.dir, "secret", "key text\n")
		r.params.ReadMaps = append(r.params.ReadMaps, "access=hash:access", "fails=fail:with a secret", "empty=inline:{{a= }}", "nul=static:a\x00b", "inline=inline:{a=b}")
	})
	c := r.connect()
	for _, e := range []struct{ request, want string }{
		{"mailboxes alice@example.test", "OK example.test/alice/"}, {"mailboxes nobody@example.test", "NOTFOUND "}, {"mailboxes ", "NOTFOUND "},
		{"domains example.test", "OK example.test"}, {"domains example.org", "NOTFOUND "}, {"aliases sales@example.test", "OK alice@example.test, bob@example.test"},
		{"recipients sales@example.test", "OK OK"}, {"senders sales@example.test", "OK alice@example.test, bob@example.test"}, {"relocated alice@example.test", "NOTFOUND "},
		{"access 192.0.2.1", "OK REJECT no mail  from there"}, {"access 192.0.2.2", "NOTFOUND "}, {"inline a", "OK b"},
		{"access fits", "OK " + strings.Repeat("x", 99_997)}, {"access big", "TEMP the lookup failed"},
		{"fails key", "TEMP the lookup failed"}, {"nul key", "TEMP the lookup failed"},
		// What is not in read_maps is not there, however it is called.
		{"directory:mailboxes alice@example.test", "PERM there is no such table"}, {"secret key", "PERM there is no such table"},
		{"hash:secret key", "PERM there is no such table"}, {"hash:" + r.dir + "/secret key", "PERM there is no such table"}, {"hash:access 192.0.2.1", "PERM there is no such table"},
		{"texthash:/etc/passwd root", "PERM there is no such table"}, {"Mailboxes alice@example.test", "PERM there is no such table"},
		{" alice@example.test", "PERM there is no such table"}, {"mailboxes\x00 x", "PERM there is no such table"},
		{"", "PERM a request is the name of a table, a blank and a key"}, {"mailboxes", "PERM a request is the name of a table, a blank and a key"},
		{"mailboxes\talice@example.test", "PERM a request is the name of a table, a blank and a key"},
		{"mailboxes  alice@example.test", "NOTFOUND "}, {"mailboxes alice@example.test\n", "NOTFOUND "}, {"mailboxes \x00\xff", "NOTFOUND "},
	} {
		if got := c.ask(e.request); got != e.want {
			t.Errorf("%q: %.80q (%d), want %.80q", e.request, got, len(got), e.want)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	log := r.inLog("disconnect")
	for text, times := range map[string]int{
		" result=failed": 3, "with a secret": 1, `result="no such table"`: 1, "result=malformed": 0, "reason=closed": 1, "result=found": 0,
	} {
		if n := strings.Count(log, text); n != times {
			t.Errorf("%q is %d times in the log:\n%.3000s", text, n, log)
		}
	}
	for _, e := range []struct {
		table, result string
		want          float64
	}{{"mailboxes", "found", 1}, {"mailboxes", "not found", 5}, {"fails", "failed", 1}, {"", "no such table", 9}, {"", "malformed", 3}} {
		if got := r.counted(e.table, e.result); got != e.want {
			t.Errorf("%q %s: %v", e.table, e.result, got)
		}
	}
}

// TestOneAfterTheOther: requests that come together are answered in their order, however they are cut.
func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	c := newRig(t, nil).connect()
	var all []byte
	for range 500 {
		all = netstring.Append(all, "mailboxes alice@example.test")
		all = netstring.Append(all, "domains example.org")
	}
	go func() {
		for i := 0; i < len(all); i += 7 {
			c.write(string(all[i:min(i+7, len(all))]))
		}
	}()
	for range 500 {
		if a, b := c.read(), c.read(); a != "OK example.test/alice/" || b != "NOTFOUND " {
			t.Fatalf("%q %q", a, b)
		}
	}
}

// TestHostileNetstrings end the connection, unanswered, and cost nobody else anything.
func TestHostileNetstrings(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.params.RequestLimit = 1000 })
	good := r.connect()
	for octets, reason := range map[string]string{
		"x": "protocol error", "-1:": "protocol error", "05:hello,": "protocol error", ":,": "protocol error", "EHLO mx.example.test\r\n": "protocol error",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n": "protocol error", "3:a b;": "protocol error", strings.Repeat("9", 19): "protocol error",
		"999999999999999999:": "a request of 999999999999999999 octets (proxymap.request_limit)", "1001:": "a request of 1001 octets (proxymap.request_limit)",
		"\x00": "protocol error", "\r\n": "protocol error", " 3:a b,": "protocol error", "+3:a b,": "protocol error",
	} {
		c := r.connect()
		c.write(octets)
		c.over()
		log := r.inLog(reason)
		if strings.Contains(log, "EHLO") {
			t.Error("what the client sent is in the log")
		}
		if got := good.ask("domains example.test"); got != "OK example.test" {
			t.Errorf("after %q: %q", octets, got)
		}
	}
	// A good one, and a bad one behind it.
	c := r.connect()
	c.write("20:domains example.test,3:x")
	if got := c.read(); got != "OK example.test" {
		t.Error(got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	r.inLog(`reason="lost connection"`)
	c = r.connect()
	c.write(fmt.Sprintf("1000:mailboxes %s,", strings.Repeat("x", 990)))
	if got := c.read(); got != "NOTFOUND " {
		t.Errorf("the longest request: %q", got)
	}
}

// TestSlowClients: who says nothing, stops in the middle, or does not read his answers, is not waited for.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		r.params.MaxIdle, r.params.Timeout = 50*time.Millisecond, 50*time.Millisecond
		r.params.ReadMaps = []string{"big=static:" + strings.Repeat("x", 50_000)}
	})
	silent := r.connect()
	silent.over()
	r.inLog("reason=idle")
	half := r.connect()
	half.write("20:doma")
	half.over()
	r.inLog(`reason="timed out"`)
	// Its 2000 answers are 100 MB, which no buffer of a socket takes.
	deaf := r.connect()
	deaf.write(strings.Repeat(string(netstring.Append(nil, "big key")), 2000))
	log := r.inLog("failed=0")
	for end := time.Now().Add(patience); strings.Count(log, `reason="timed out"`) < 2; log = r.inLog("failed=0") {
		if time.Now().After(end) {
			t.Fatalf("a client that reads nothing is served for ever:\n%s", log)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestLimits: of connections, of one client, of requests on a connection, and of who is served.
func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("use", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(r *rig) { r.params.MaxUse = 2 })
		c := r.connect()
		for range 2 {
			if got := c.ask("domains example.test"); got != "OK example.test" {
				t.Error(got)
			}
		}
		c.over()
		r.inLog("reason=max_use")
	})
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(r *rig) { r.limits.PerClient = 1 })
		c := r.connect()
		_ = c.ask("domains example.test")
		r.connect().over()
		if got := r.connectTo("unix", r.socket).ask("domains example.test"); got != "OK example.test" {
			t.Errorf("a unix socket: %q", got)
		}
		r.inLog("too many connections from this client")
	})
	t.Run("networks", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(r *rig) { r.limits.Allowed = networks("192.0.2.0/24") })
		r.connect().over()
		if got := r.connectTo("unix", r.socket).ask("domains example.test"); got != "OK example.test" {
			t.Errorf("a unix socket: %q", got)
		}
	})
}

// TestDirectoryIsDown: nobody is unknown, and no inside is told.
func TestDirectoryIsDown(t *testing.T) {
	t.Parallel()
	for _, outcome := range []directory.Outcome{directory.Unavailable, directory.Misconfigured} {
		r := newRig(t, func(r *rig) {
			r.hosted = static.Broken{Outcome: outcome, Cause: errors.New("/srv/inside.db is gone")}.Directory()
		})
		c := r.connect()
		for _, request := range []string{"domains example.test", "mailboxes alice@example.test", "aliases alice@example.test", "recipients alice@example.test", "senders alice@example.test", "relocated alice@example.test"} {
			if got := c.ask(request); got != "TEMP the lookup failed" {
				t.Errorf("%s, %s: %q", outcome, request, got)
			}
		}
		r.inLog("/srv/inside.db is gone")
	}
}

// TestLookupsThatHang: the client hears TIMEOUT after proxymap.timeout, and a stop waits for no more than the drain.
func TestLookupsThatHang(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	hang := func(r *rig) {
		r.params.ReadMaps = []string{"far=tcp:192.0.2.1:1", "directory:domains"}
		r.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	r := newRig(t, func(r *rig) { hang(r); r.params.Timeout = 20 * time.Millisecond })
	if got := r.connect().ask("far key"); got != "TIMEOUT the lookup took too long" {
		t.Error(got)
	}
	<-asked
	r = newRig(t, func(r *rig) { hang(r); r.params.Timeout = time.Hour; r.limits.DrainTimeout = time.Millisecond })
	c := r.connect()
	c.write(string(netstring.Append(nil, "far key")))
	<-asked
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	c.over()
}

// TestStop: a client that waits is let go at once, one whose request is looked up hears the answer.
func TestStop(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(r *rig) {
		r.params.ReadMaps = []string{"far=tcp:192.0.2.1:1", "directory:domains"}
		r.params.MaxIdle, r.params.Timeout, r.limits.DrainTimeout = time.Hour, time.Hour, time.Hour
		r.dial = func(context.Context, string, string) (net.Conn, error) {
			close(asked)
			<-answer
			return nil, errors.New("nobody is there")
		}
	})
	idle, busy := r.connect(), r.connect()
	_ = idle.ask("domains example.test")
	busy.write(string(netstring.Append(nil, "far key")))
	<-asked
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	idle.over()
	close(answer)
	if got := busy.read(); got != "TEMP the lookup failed" {
		t.Error(got)
	}
	busy.over()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestOurTablesAsClients: our own tables of type socketmap keep what proxymap says, each of its answers.
func TestOurTablesAsClients(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.params.ReadMaps = append(r.params.ReadMaps, "fails=fail:x") })
	s := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { _ = s.Close() })
	var all sync.WaitGroup
	for _, c := range []struct {
		name, key, text string
		want            directory.Outcome
	}{
		{"mailboxes", "alice@example.test", "example.test/alice/", directory.Found}, {"mailboxes", "nobody@example.test", "", directory.NotFound},
		{"fails", "x", "", directory.Unavailable}, {"nothing", "x", "", directory.Misconfigured},
	} {
		opened, err := s.Open(t.Context(), "socketmap:inet:"+r.addr+":"+c.name)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			all.Go(func() {
				for range 50 {
					if text, err := opened.Lookup(t.Context(), c.key); text != c.text || directory.OutcomeOf(err) != c.want {
						t.Errorf("%s: %q, %v", c.name, text, err)
					}
				}
			})
		}
	}
	all.Wait()
}

// TestPostmapOfDebian asks by a port and by a socket; what fails is an error for it, and nothing is said to be missing.
func TestPostmapOfDebian(t *testing.T) {
	t.Parallel()
	postmap := peers.Need(t, "postmap", "postfix")
	r := newRig(t, func(r *rig) {
		write(t, r.dir, "access", "192.0.2.1 REJECT no mail from there\nbig "+strings.Repeat("x", 99_997)+"\n")
		r.params.ReadMaps = append(r.params.ReadMaps, "access=hash:access", "fails=fail:x")
	})
	etc := filepath.Join(r.dir, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, etc, "main.cf", "compatibility_level = 3.6\nmyhostname = mx.example.test\n")
	ask := func(table string, keys ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), postmap, "-c", etc, "-q", "-", table)
		cmd.Stdin = strings.NewReader(strings.Join(keys, "\n") + "\n")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, at := range []string{"inet:" + r.addr, "unix:" + r.socket} {
		for name, c := range map[string]struct {
			keys []string
			want string
		}{
			"mailboxes": {[]string{"alice@example.test", "nobody@example.test", "BOB@example.test", "sales@example.test", "a b@example.test"}, "alice@example.test\texample.test/alice/\nBOB@example.test\texample.test/bob/\n"},
			"domains":   {[]string{"example.test", "example.org"}, "example.test\texample.test\n"},
			"aliases":   {[]string{"alice@example.test", "sales@example.test"}, "sales@example.test\talice@example.test, bob@example.test\n"},
			"access":    {[]string{"192.0.2.1", "192.0.2.2", "big"}, "192.0.2.1\tREJECT no mail from there\nbig\t" + strings.Repeat("x", 99_997) + "\n"},
		} {
			if out, err := ask("socketmap:"+at+":"+name, c.keys...); out != c.want || err != nil {
				t.Errorf("%s %s: %.2000s, %v", at, name, out, err)
			}
		}
		if out, err := ask("socketmap:"+at+":relocated", "alice@example.test"); out != "" || err == nil {
			t.Errorf("nothing: %q, %v", out, err)
		}
		for name, want := range map[string]string{"fails": "the lookup failed", "nothing": "there is no such table"} {
			if out, err := ask("socketmap:"+at+":"+name, "alice@example.test"); err == nil || !strings.Contains(out, want) {
				t.Errorf("%s: %q, %v", name, out, err)
			}
		}
	}
}

// TestNewRefuses what cannot be opened.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	s := tables.NewSet(tables.Options{Params: configs.Default().Lookup, Dir: t.TempDir()})
	t.Cleanup(func() { _ = s.Close() })
	for _, item := range []string{"a=hash:nofile", "a=nosuchtype:x", "hash:noname", "directory:passwords"} {
		if _, err := New(Options{Params: configs.Proxymap{ReadMaps: []string{item}}, Tables: s}); err == nil || !strings.Contains(err.Error(), "proxymap.read_maps") {
			t.Errorf("%s: %v", item, err)
		}
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
