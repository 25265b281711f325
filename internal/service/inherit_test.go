package service

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestIsFor: what is bound is compared, not how it is written.
func TestIsFor(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct {
		bound  string
		is, no []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1:", "[::ffff:127.0.0.1]:"}, []string{"127.0.0.2:", "0.0.0.0:", ":", "[::]:", "[::1]:"}},
		{"0.0.0.0:0", []string{"0.0.0.0:", ":", "[::]:"}, []string{"127.0.0.1:"}},
		{":0", []string{":", "[::]:"}, []string{"0.0.0.0:", "[::1]:", "127.0.0.1:"}},
		{"unix:" + socket, []string{"unix:" + socket}, []string{"unix:" + socket + "x", "127.0.0.1:"}},
	} {
		l, err := Listen(c.bound, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := ""
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			port = strconv.Itoa(a.Port)
		}
		for _, address := range c.is {
			if !IsFor(l, address+port) {
				t.Errorf("%s is not for %s", l.Addr(), address+port)
			}
		}
		for _, address := range c.no {
			if IsFor(l, address+port) || port != "" && IsFor(l, "127.0.0.1:1"+port[:1]) {
				t.Errorf("%s is for %s", l.Addr(), address+port)
			}
		}
	}
}

// TestInheritNothing: the variables of another process are not ours.
func TestInheritNothing(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"none":              {},
		"of another":        {"LISTEN_PID": strconv.Itoa(os.Getpid() + 1), "LISTEN_FDS": "1"},
		"without a process": {"LISTEN_FDS": "1"},
	} {
		if all, err := Inherit(func(s string) string { return env[s] }); err != nil || len(all) != 0 {
			t.Errorf("%s: %v %v", name, all, err)
		}
	}
	for _, count := range []string{"-1", "x", "100000"} {
		env := map[string]string{"LISTEN_PID": strconv.Itoa(os.Getpid()), "LISTEN_FDS": count}
		if _, err := Inherit(func(s string) string { return env[s] }); err == nil || !strings.Contains(err.Error(), "LISTEN_FDS") {
			t.Errorf("%s: %v", count, err)
		}
	}
}
