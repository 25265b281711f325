package service

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstInherited is SD_LISTEN_FDS_START.
const firstInherited = 3

// maxInherited bounds what LISTEN_FDS may say.
const maxInherited = 1000

// Inherited is a listener that was open before this process was.
type Inherited struct {
	// Name is FileDescriptorName= of the socket unit, by default the unit's own.
	Name string
	net.Listener
}

// Inherit takes over the listeners that the service manager has handed to this process
// (sd_listen_fds(3)): LISTEN_FDS of them, if LISTEN_PID is this process, with the names of
// LISTEN_FDNAMES. Without any it returns none. What is no listening stream socket is an
// error: with Accept=yes a socket unit hands over connections.
//
// It must be called once, early: a descriptor that is not taken over would stay open.
// Closing a unix socket that was handed over leaves its name, which is the manager's.
func Inherit(getenv func(string) string) ([]Inherited, error) {
	count := getenv("LISTEN_FDS")
	if count == "" || getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxInherited {
		return nil, fmt.Errorf("LISTEN_FDS is %q, not a number of up to %d", count, maxInherited)
	}
	var names []string
	if text := getenv("LISTEN_FDNAMES"); text != "" {
		names = strings.Split(text, ":")
	}
	var all []Inherited
	for i := range n {
		l, err := inherit(firstInherited + i)
		if err != nil {
			for _, other := range all {
				err = errors.Join(err, other.Close())
			}
			return nil, err
		}
		name := ""
		if i < len(names) {
			name = names[i]
		}
		all = append(all, Inherited{name, l})
	}
	return all, nil
}

// inherit makes a descriptor a listener; net has one of its own for it.
func inherit(fd int) (net.Listener, error) {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "listener "+strconv.Itoa(fd))
	if f == nil {
		return nil, fmt.Errorf("descriptor %d of the service manager is not open", fd)
	}
	defer f.Close()
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return nil, fmt.Errorf("descriptor %d of the service manager is no listening socket: a socket unit for it has ListenStream= and Accept=no", fd)
	}
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain == unix.AF_UNIX {
		// The one who listens is asked who it is (SO_PEERCRED): without, that is the
		// service manager for ever, and `toastmaster stop` would stop it.
		if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
			return nil, fmt.Errorf("descriptor %d of the service manager: %w", fd, err)
		}
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d of the service manager: %w", fd, cause(err))
	}
	return l, nil
}

// IsFor says that a listener is bound to what address asks for: the same port and the
// same IP address, or both all of them, or the same path.
func IsFor(l net.Listener, address string) bool {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		a, ok := l.Addr().(*net.UnixAddr)
		return ok && a.Name == path
	}
	have, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return false
	}
	network, asked := family(address)
	want, err := net.ResolveTCPAddr(network, asked)
	if err != nil || want.Port != have.Port {
		return false
	}
	if want.IP == nil || want.IP.IsUnspecified() {
		return have.IP.IsUnspecified() && (network != "tcp4" || have.IP.To4() != nil)
	}
	return want.IP.Equal(have.IP)
}
