package service

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const unixPrefix = "unix:"

// probeTimeout is how long an old socket may take to answer before it counts
// as alive.
const probeTimeout = time.Second

// Listen opens "host:port" or "unix:/path". The host "0.0.0.0" is every IPv4
// address of the machine, "::" or none every address of both families, or of the
// one that it has. mode is that of a unix socket and
// means nothing for a port. A socket that somebody listens on is an error, one
// left by a dead process is replaced, and a file that is no socket is never
// touched.
func Listen(address string, mode fs.FileMode) (net.Listener, error) {
	path, ok := strings.CutPrefix(address, unixPrefix)
	if !ok {
		l, err := net.Listen(family(address))
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, cause(err))
		}
		return l, nil
	}
	return ListenUnix(path, mode, -1)
}

// ListenUnix is Listen for a unix socket that is a group's: gid, or -1 for the
// process's own. A process without root can only give it to a group that it is in.
func ListenUnix(path string, mode fs.FileMode, gid int) (net.Listener, error) {
	l, err := listenUnix(path, mode, gid)
	if err != nil {
		return nil, fmt.Errorf("listen on %s%s: %w", unixPrefix, path, cause(err))
	}
	return l, nil
}

// Try binds a TCP address and lets it go: what keeps a start from listening there, without
// a start. It does not listen, so that no client comes in, and a start at the same moment
// is not disturbed. A unix socket is not tried.
func Try(address string) error {
	if strings.HasPrefix(address, unixPrefix) {
		return nil
	}
	network, asked := family(address)
	a, err := net.ResolveTCPAddr(network, asked)
	if err != nil {
		return err
	}
	switch ip4 := a.IP.To4(); {
	case ip4 != nil || network == "tcp4":
		sa := &unix.SockaddrInet4{Port: a.Port}
		copy(sa.Addr[:], ip4)
		return tryBind(unix.AF_INET, sa)
	default:
		sa := &unix.SockaddrInet6{Port: a.Port}
		copy(sa.Addr[:], a.IP.To16())
		err := tryBind(unix.AF_INET6, sa)
		if errors.Is(err, unix.EAFNOSUPPORT) && (a.IP == nil || a.IP.IsUnspecified()) {
			return tryBind(unix.AF_INET, &unix.SockaddrInet4{Port: a.Port})
		}
		return err
	}
}

// tryBind has the options of net.Listen: of two sockets with SO_REUSEADDR one may be
// bound while the other listens on neither address nor port of it.
func tryBind(domain int, sa unix.Sockaddr) error {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if domain == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return unix.Bind(fd, sa)
}

// family says what net.Listen is to be told: it takes "0.0.0.0" for both
// families, too, and "::" for IPv6 alone where it thinks that sockets cannot have
// both.
func family(address string) (network, asked string) {
	host, port, err := net.SplitHostPort(address)
	ip, ipErr := netip.ParseAddr(host)
	switch {
	case err != nil || ipErr != nil || !ip.IsUnspecified():
		return "tcp", address
	case ip.Is4():
		return "tcp4", address
	}
	return "tcp", ":" + port
}

// cause strips net's repetition of the address.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// listenUnix binds a name in a folder that nobody else may enter, and renames it: between bind and chmod a
// socket has the mode that the umask gives, and nobody shall connect then; and whoever may write beside it could put a link in
// its place, by which root would change the rights of another file. The group is given before the mode, which is meant for
// that group.
func listenUnix(path string, mode fs.FileMode, gid int) (net.Listener, error) {
	if err := probe(path); err != nil {
		return nil, err
	}
	dir := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(dir) }() // it is empty
	fd, err := ownFolder(dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/" + boundName, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	u := &unixListener{UnixListener: l, path: path}
	if err := u.move(fd, mode, gid); err != nil {
		_ = l.Close()
		_ = unix.Unlinkat(fd, boundName, 0)
		return nil, err
	}
	return u, nil
}

// boundName is what a socket is called before it has its rights.
const boundName = "s"

// ownFolder opens a folder that this process has made. Another one in its place is somebody else's.
func ownFolder(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		_ = unix.Close(fd)
		return -1, errors.Join(fmt.Errorf("%s: another folder has come in its place", dir), err)
	}
	return fd, nil
}

// move gives the socket its rights and its name.
func (u *unixListener) move(fd int, mode fs.FileMode, gid int) (err error) {
	if gid >= 0 {
		err = unix.Fchownat(fd, boundName, -1, gid, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil {
		err = unix.Fchmodat(fd, boundName, uint32(mode.Perm()), 0)
	}
	if err == nil {
		err = unix.Renameat(fd, boundName, unix.AT_FDCWD, u.path)
	}
	if err != nil {
		return &fs.PathError{Op: "bind", Path: u.path, Err: err}
	}
	u.file, err = os.Lstat(u.path)
	return err
}

// probe says nil when path is free or a dead socket.
func probe(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("the file exists and is no socket")
	}
	c, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		_ = c.Close()
		return errors.New("another process listens on it")
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("another process listens on it")
	}
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// unixListener has the name that the socket was renamed to, and removes it at
// Close unless another process has put its own there.
type unixListener struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
}

// Addr is the final name.
func (u *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: u.path, Net: "unix"} }

// Close closes the socket and removes its name.
func (u *unixListener) Close() error {
	u.once.Do(func() {
		if now, err := os.Lstat(u.path); err == nil && os.SameFile(now, u.file) {
			_ = os.Remove(u.path)
		}
	})
	return u.UnixListener.Close()
}
