package postscreen

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/testkit/faultfs"
)

// saved lets the cache write what it has, and ends it, or kills it when its disk is swapped first.
func (r *rig) saved() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel()
	must(r.t, r.cache.Run(ctx))
}

// TestCacheSurvives: a stop, a kill, and not what was not written yet.
func TestCacheSurvives(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	r := newRig(t, func(r *rig) { r.disk = disk })
	r.greeted("127.0.0.2").hear("220 next")
	r.saved()
	r.greeted("127.0.0.3").hear("220 next")
	r.wantLog("127.0.0.3", "PASS NEW CLIENT")
	must(t, r.stop())
	r.disk = disk.Clone() // SIGKILL, or another start
	r.start()
	r.dial("127.0.0.2").hear("220 next")
	r.dial("127.0.0.3").hear("220-mx.test")
}

// TestCacheIsBounded: one client more than cache_limit takes the place of one whose time is over
// sooner.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.params.CacheLimit = 10 })
	for i := range 30 {
		p := r.greeted(fmt.Sprintf("127.0.1.%d", i+1))
		p.hear("220 next")
		_ = p.Close()
		if n := r.cache.Len(); n > 10 {
			t.Fatalf("%d clients are remembered", n)
		}
	}
	r.dial("127.0.1.30").hear("220 next")
}

// TestFullDisk: who passes is served, remembered until the end, and the log says once that this
// is all. Mail does not depend on it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	disk.Limit(1)
	r := newRig(t, func(r *rig) { r.disk = disk })
	for i := range 3 {
		from := fmt.Sprintf("127.0.0.%d", i+2)
		r.greeted(from).hear("220 next")
		r.saved()
		r.dial(from).hear("220 next")
	}
	if log := readFile(t, r.logs); strings.Count(log, "a cache cannot be written") != 1 {
		t.Error(log)
	}
	disk.Limit(1 << 20)
	r.saved()
	must(t, r.stop())
	r.disk = disk.Clone()
	r.start()
	for i := range 3 {
		r.dial(fmt.Sprintf("127.0.0.%d", i+2)).hear("220 next")
	}
}

// TestTwoConnectionsRemember: what one connection of a client has passed is not taken back by another
// one that passed something else.
func TestTwoConnectionsRemember(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.params.Pipelining = configs.ScreenTest{Enable: true, TTL: 30 * 24 * time.Hour}
	one := &visit{s: r.screen, client: mustAddr(t, "127.0.0.2")}
	two := &visit{s: r.screen, client: mustAddr(t, "127.0.0.2")}
	one.recall()
	two.recall()
	one.pass(pipelining, time.Hour)
	one.remember()
	two.pass(pregreet, time.Minute)
	two.remember()
	passed, ok := one.recalled()
	if !ok || !passed[pipelining].Equal(start.Add(time.Hour)) || !passed[pregreet].Equal(start.Add(time.Minute)) || !passed[dnsbl].IsZero() {
		t.Errorf("%v", passed)
	}
	// An entry of a later version, with one test more, and garbage.
	for _, text := range []string{"1800000060;0;0;0;0;1800000099", "x;;-1", ""} {
		r.cache.Put("127.0.0.3", text, start.Add(time.Hour))
		v := &visit{s: r.screen, client: mustAddr(t, "127.0.0.3")}
		v.recall()
		if todo := r.screen.todo(v.passed, start); !v.old || todo[pregreet] == strings.HasPrefix(text, "18") {
			t.Errorf("%q: %v", text, todo)
		}
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"EHLO x\r\n": `EHLO x\r\n`, "\x16\x03\x01\x00\xff": `\026\003\001\000\377`, `a\b"`: `a\\b"`, "\a\b\t\v\f": `\a\b\t\v\f`,
		strings.Repeat("x", 200): strings.Repeat("x", 100), "": "",
	} {
		if got := escape([]byte(in)); got != want {
			t.Errorf("%q: %s, not %s", in, got, want)
		}
	}
}

func TestIsHeader(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"Subject: x": true, "Subject:": true, "X-A \t: b": true, "MAIL FROM:<a>": false, ": x": false, "": false, "EHLO [IPv6:::1]": false, "caf\xe9: x": false,
	} {
		if isHeader([]byte(line)) != want {
			t.Errorf("%q", line)
		}
	}
}
