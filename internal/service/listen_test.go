package service

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenUnix(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen("unix:"+path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o660 || info.Mode().Type() != os.ModeSocket {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	if got := l.Addr().String(); got != path {
		t.Errorf("address %s", got)
	}
	if _, err := Listen("unix:"+path, 0o660); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a live socket was taken over: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket was left: %v", err)
	}
}

func TestListenReplacesADeadSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen("unix:"+path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if a := ClientAddr(c); a.IsValid() {
		t.Errorf("a unix socket has no client address: %v", a)
	}
	_ = c.Close()
	// Whoever took the name meanwhile keeps it.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("another's file was removed")
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"unix:" + file, "unix:" + file + "/x", "127.0.0.1:99999", "nonsense"} {
		l, err := Listen(address, 0o600)
		if err == nil {
			_ = l.Close()
			t.Errorf("%s: no error", address)
			continue
		}
		if !strings.HasPrefix(err.Error(), "listen on "+address) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Error("the file was touched")
	}
}

// TestListenOnBothFamilies: "::" is every address of the machine, "0.0.0.0" every
// one of IPv4 and no other.
func TestListenOnBothFamilies(t *testing.T) {
	t.Parallel()
	// Where there is no IPv6, it is IPv4 alone, and no error.
	probe, err := net.Listen("tcp", "[::1]:0")
	ipv6 := err == nil
	if ipv6 {
		_ = probe.Close()
	}
	for address, reached := range map[string]map[string]bool{
		"[::]:0":      {"127.0.0.1": true, "::1": ipv6},
		":0":          {"127.0.0.1": true, "::1": ipv6},
		"0.0.0.0:0":   {"127.0.0.1": true, "::1": false},
		"127.0.0.1:0": {"127.0.0.1": true, "::1": false},
	} {
		l, err := Listen(address, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range reached {
			c, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if (err == nil) != want {
				t.Errorf("%s from %s: %v", address, host, err)
			}
			if err == nil {
				_ = c.Close()
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestALinkInThePlaceOfASocket: whoever may write in the folder of a socket can put links there at any moment; no other file
// gets the rights of the socket by them.
func TestALinkInThePlaceOfASocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "s"), filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Symlink(victim, path+".link")
				_ = os.Rename(path+".link", temporary)
			}
		}
	}()
	for range 500 {
		if l, err := Listen("unix:"+path, 0o666); err == nil {
			_ = l.Close()
		}
	}
	close(stop)
	<-stopped
	if info, err := os.Stat(victim); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the victim has mode %v: %v", info.Mode(), err)
	}
}
