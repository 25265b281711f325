package cli

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"toastmaster/mta/master"
)

// TestMasterStartGivesUp: a role that ends again and again is told with its reason, and the command does not wait for ever.
func TestMasterStartGivesUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, pid := filepath.Join(dir, "program"), filepath.Join(dir, "pid")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho $$ >"+pid+".new && mv "+pid+".new "+pid+" && exec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := master.Status{Pid: 7, Roles: []master.RoleStatus{{Name: "store", State: "running"}, {Name: "mta", State: "throttled", Restarts: 1, Cause: "pid 9: exit status 1: no such disk"}}}
		if _, err := os.Stat(pid); err == nil {
			s.Roles[1].Restarts = startTries
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s)
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		if text, err := os.ReadFile(pid); err == nil {
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	})
	env := &Environment{Program: program, ConfigFile: filepath.Join(dir, "none.toml"), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	err = startMaster(t.Context(), env, master.Client{Socket: l.Addr().String()})
	if err == nil || !strings.HasPrefix(err.Error(), "mta: throttled: pid 9: exit status 1: no such disk; ") || !strings.Contains(err.Error(), "toastmaster master stop") {
		t.Error(err)
	}
}

// TestConfigPostfix translates a file and standard input, and says what is no main.cf.
func TestConfigPostfix(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "main.cf")
	if err := os.WriteFile(file, []byte("relayhost = [up.example]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := runs(t, 0, "config", "postfix", file); !strings.Contains(out, "\n[smtp]\nrelayhost = \"[up.example]\"\n") {
		t.Error(out)
	}
	if err := os.WriteFile(file, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := runs(t, 2, "config", "postfix", file); !strings.Contains(errs, file+": line 1: expected") {
		t.Error(errs)
	}
	runs(t, 1, "config", "postfix", file+".none")
}
