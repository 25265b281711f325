package cli

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/identity"
	"toastmaster/internal/run/initial"
	"toastmaster/internal/testkit/proc"
)

// Every mail host has a postmaster (RFC 5321 section 4.5.1), a demo too.
func TestDemoHasAPostmaster(t *testing.T) {
	t.Parallel()
	c, err := configs.Parse("demo.toml", []byte(initial.Text(demoOptions())))
	if err != nil {
		t.Fatal(err)
	}
	if c.SMTPD.Postmaster != "alice@example.test" {
		t.Errorf("postmaster %q", c.SMTPD.Postmaster)
	}
}

// TestDemoSaysWhichPortIsTaken: by which service it is wanted, and what to do.
func TestDemoSaysWhichPortIsTaken(t *testing.T) {
	t.Parallel()
	ports, err := proc.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	address := ports.Addr(25)
	taken, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := filepath.Join(t.TempDir(), "var")
	_, errs := runs(t, 1, "demo", dir, "--port-base", strconv.Itoa(ports.Base))
	for _, part := range []string{"smtpd: ", "/toastmaster.toml:10: smtpd.listen: ", address, "in use", "PORT_BASE", "--port-base"} {
		if !strings.Contains(errs, part) {
			t.Errorf("no %q in %s", part, errs)
		}
	}
	if strings.Count(errs, "\n") != 1 {
		t.Errorf("not one line: %s", errs)
	}
}

// TestMoveDemo: other ports for an instance whose file nobody changed.
func TestMoveDemo(t *testing.T) {
	t.Parallel()
	o := demoOptions()
	o.Dir, o.PortBase = t.TempDir(), 2000
	c, err := initial.Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Instance = identity.ID(c.Main.Instance)
	file := filepath.Join(o.Dir, "toastmaster.toml")
	o.PortBase = 3000
	for range 2 {
		if err := moveDemo(file, o); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != initial.Text(o) {
			t.Errorf("%v:\n%s", err, text)
		}
	}
	changed := initial.Text(o) + "\n[log]\nlevel = \"debug\"\n"
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := moveDemo(file, o); err != nil {
		t.Errorf("the ports that it has: %v", err)
	}
	o.PortBase = 4000
	if err := moveDemo(file, o); err == nil {
		t.Error("somebody's file was written over")
	}
}

// TestADemoWhoseOutputNobodyReads serves and stops all the same.
func TestADemoWhoseOutputNobodyReads(t *testing.T) {
	t.Parallel()
	ports, err := proc.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	o := demoOptions()
	o.Dir, o.PortBase = t.TempDir(), ports.Base
	c, err := initial.Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	reader, stalled := io.Pipe()
	defer reader.Close()
	env := &Environment{Stdout: stalled, Stderr: stalled, Getenv: func(string) string { return "" }}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	welcomed, done := make(chan error, 1), make(chan error, 1)
	go func() {
		done <- serve(ctx, env, c, func(ctx context.Context) error {
			err := welcome(ctx, env, c)
			welcomed <- err
			return err
		})
	}()
	for _, step := range []struct {
		name string
		c    chan error
	}{{"the welcome", welcomed}, {"the stop", done}} {
		select {
		case err := <-step.c:
			if err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s waits for a reader", step.name)
		}
		cancel()
	}
}
