package proc

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStopAndKillEndTheGroup(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	// The shell leaves a child that would outlive it.
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"-c", "sleep 600 & echo up; wait"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.LogTail(100), "up") {
		time.Sleep(time.Millisecond)
	}
	if err := p.Stop(time.Minute); err == nil {
		t.Error("a shell ended by a signal reports success")
	}
	deadline := time.Now().Add(time.Minute)
	for syscall.Kill(-p.Pid(), 0) != syscall.ESRCH {
		if time.Now().After(deadline) {
			t.Fatal("the group still runs")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo up; while :; do sleep 1; done"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.LogTail(100), "up") {
		time.Sleep(time.Millisecond)
	}
	if m, err := p.Memory(); err != nil || m.RSS <= 0 || m.Peak < m.RSS {
		t.Errorf("memory %+v, %v", m, err)
	}
	err = p.Stop(100 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "did not stop") {
		t.Errorf("Stop: %v", err)
	}
	if p.Running() {
		t.Error("still running")
	}
}

func TestBlocksOfPortsDoNotOverlap(t *testing.T) {
	t.Parallel()
	seen := map[int]int{}
	for range 60 {
		ports, err := Reserve()
		if err != nil {
			t.Fatal(err)
		}
		defer ports.Close()
		for _, w := range append([]int{lockOffset, 4190}, wellKnown...) {
			if other, ok := seen[ports.Base+w]; ok {
				t.Fatalf("port %d is in the blocks %d and %d", ports.Base+w, other, ports.Base)
			}
			seen[ports.Base+w] = ports.Base
		}
	}
}

func TestWaitPort(t *testing.T) {
	t.Parallel()
	ports, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l, err := net.Listen("tcp", ports.Addr(25))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := WaitPort(ctx, ports.Addr(25), nil); err != nil {
		t.Error(err)
	}
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"-c", "echo no such luck; exit 3"}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	err = WaitPort(ctx, ports.Addr(110), p)
	if err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("WaitPort does not tell why the program ended: %v", err)
	}
}
