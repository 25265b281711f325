package run

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/run/initial"
)

// TestHangupDuringTheStart sends SIGHUP while serve is still reading the
// certificate, a pipe that nobody has written to. Nobody waiting for the signal
// would end this process.
func TestHangupDuringTheStart(t *testing.T) {
	dir := t.TempDir()
	c, err := initial.Make(t.Context(), initial.Options{Dir: dir, PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	cert := filepath.Join(dir, "tls", "cert.pem")
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(cert, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(context.Background(), Options{Config: c}) }()
	w, err := os.OpenFile(cert, os.O_WRONLY, 0) // returns when serve has opened it
	if err != nil {
		t.Fatal(err)
	}
	// To this thread: it has the signal before the call returns, so it does not
	// come when serve has ended.
	runtime.LockOSThread()
	err = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGHUP)
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Fatal("an empty certificate was taken")
	}
}

func TestAStopOutlastsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	for name, d := range map[string]*time.Duration{
		"smtpd": &c.SMTPD.DrainTimeout, "imapd": &c.IMAPD.DrainTimeout, "qmgr": &c.Qmgr.EndTimeout,
	} {
		was := *d
		*d = 50 * time.Minute
		if got := StopTimeout(c); got <= *d {
			t.Errorf("%s: %v", name, got)
		}
		*d = was
	}
}

// TestASecondInstance is told once what is in use, and what to do.
func TestASecondInstance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := initial.Make(t.Context(), initial.Options{Dir: dir, PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := openInstance(t.Context(), Options{Config: c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openInstance(t.Context(), Options{Config: c}, nil)
	if err == nil {
		err = second.Close()
		t.Fatalf("it was opened: %v", err)
	}
	want := "queue: " + c.Path(configs.QueueDir) + " is in use by another process: stop the toastmaster that serves it first"
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
}
