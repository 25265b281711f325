package service

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier tells the service manager about the state of the process, as
// sd_notify(3) does. A nil Notifier tells nobody.
type Notifier struct{ socket string }

// NewNotifier reads NOTIFY_SOCKET; it returns nil when there is none.
func NewNotifier(getenv func(string) string) *Notifier {
	socket := getenv("NOTIFY_SOCKET")
	if !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") {
		return nil
	}
	return &Notifier{socket: socket}
}

// Ready says that all services serve, and which process is the service's: who executes
// another program in its place keeps the number.
func (n *Notifier) Ready() error { return n.send("READY=1\nMAINPID=" + strconv.Itoa(os.Getpid())) }

// Watchdog says that the service lives; see WatchdogInterval.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

// WatchdogInterval is how often the service manager wants to hear Watchdog at least
// (sd_watchdog_enabled(3)), 0 never.
func WatchdogInterval(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n <= 0 {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// Reloading says that the configuration is being read; Ready ends it. The
// time is what Type=notify-reload wants.
func (n *Notifier) Reloading() error {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return err
	}
	return n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", t.Nano()/1000))
}

// Stopping says that the drain has begun.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// notifyTimeout bounds a message to the service manager. It is no parameter: the
// socket has room for hundreds, and one that takes none does so for minutes.
const notifyTimeout = time.Second

func (n *Notifier) send(state string) error {
	if n == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	// A service manager that has stalled must not keep the process from stopping.
	if err := c.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return err
}
