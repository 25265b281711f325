package listeners

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"toastmaster/configs"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/service"
)

// Inherited are the listeners that the service manager has opened for this process, by
// the address of the configuration that each stands for. A nil one has none.
type Inherited struct {
	// listeners are those that no service has taken yet.
	listeners map[string]net.Listener
	// known is where each of them is bound.
	known map[string]net.Addr
	// control is the one of a role that is for other roles.
	control net.Listener
}

// ControlName is what master calls the listener of a role that is for other roles.
const ControlName = "control"

// Control is that listener; nil without.
func (in *Inherited) Control() net.Listener {
	if in == nil {
		return nil
	}
	return in.control
}

// Inherit takes over the listeners of the service manager, and finds for each the address
// of the configuration that it is for: the one that it is bound to, else one of the
// parameter whose name it has ("smtpd.listen"). One that no parameter wants is a mistake: what its clients
// would wait for never comes.
func Inherit(c *configs.Config, getenv func(string) string) (*Inherited, error) {
	if getenv == nil {
		return nil, nil
	}
	handed, err := service.Inherit(getenv)
	if err != nil {
		return nil, usage.New(err)
	}
	in := &Inherited{listeners: map[string]net.Listener{}, known: map[string]net.Addr{}}
	for _, by := range []func(service.Inherited, string) bool{
		func(l service.Inherited, address string) bool { return service.IsFor(l, resolve(c, address)) },
		func(l service.Inherited, address string) bool {
			return l.Name != "" && l.Name == listenParam(c, address)
		},
	} {
		handed = in.match(c, handed, by)
	}
	handed = slices.DeleteFunc(handed, func(l service.Inherited) bool {
		is := l.Name == ControlName
		if is {
			in.control = l.Listener
		}
		return is
	})
	if len(handed) == 0 {
		return in, nil
	}
	l := handed[0]
	err = fmt.Errorf("the service manager hands over a listener on %s with the name %q, which is no address of a parameter of the configuration, and no such name: "+
		"correct ListenStream=, name it with FileDescriptorName= as the parameter that it is for (smtpd.listen), or remove it from the socket unit", l.Addr(), l.Name)
	for _, l := range handed {
		err = errors.Join(err, l.Close())
	}
	return nil, errors.Join(usage.New(err), in.Close())
}

// match gives listeners to the addresses that by says, and returns those that are left.
func (in *Inherited) match(c *configs.Config, handed []service.Inherited, by func(service.Inherited, string) bool) (left []service.Inherited) {
	for _, l := range handed {
		found := false
		for _, address := range append(c.Listeners(), adminSocket(c)) {
			if found = in.listeners[address] == nil && by(l, address); found {
				in.listeners[address], in.known[address] = named(c, l.Listener, address), l.Addr()
				break
			}
		}
		if !found {
			left = append(left, l)
		}
	}
	return left
}

// named is a unix socket under the name of the configuration: what the kernel knows is that of
// its bind, before it was renamed into its place.
func named(c *configs.Config, l net.Listener, address string) net.Listener {
	path, isUnix := strings.CutPrefix(address, "unix:")
	if _, bound := l.Addr().(*net.UnixAddr); !isUnix || !bound {
		return l
	}
	return renamed{l, &net.UnixAddr{Name: c.Path(path), Net: "unix"}}
}

type renamed struct {
	net.Listener
	addr *net.UnixAddr
}

func (r renamed) Addr() net.Addr { return r.addr }

// SyscallConn is for who hands the socket on.
func (r renamed) SyscallConn() (syscall.RawConn, error) {
	c, ok := r.Listener.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return c.SyscallConn()
}

// adminSocket is admin.socket as the addresses of listeners are written.
func adminSocket(c *configs.Config) string { return "unix:" + c.Admin.Socket }

// listenParam is the parameter that has an address.
func listenParam(c *configs.Config, address string) string {
	if p := c.ListenParam(address); p != "" || address != adminSocket(c) {
		return p
	}
	return "admin.socket"
}

// resolve is an address with the path of a unix socket in full.
func resolve(c *configs.Config, address string) string {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix:" + configs.Absolute(c.Path(path))
	}
	return address
}

// Has says that an address was handed over, though its service may have it by now.
func (in *Inherited) Has(address string) bool { return in.bound(address) != nil }

// bound is where the listener that stands for an address of the configuration is bound,
// nil when none was handed over. One that was matched by its name may be bound elsewhere.
func (in *Inherited) bound(address string) net.Addr {
	if in == nil {
		return nil
	}
	return in.known[address]
}

// HasPath is Has for the path of a unix socket. Who checks a configuration by hand (nil)
// cannot know what a start is handed: a socket that is there may be it.
func (in *Inherited) HasPath(c *configs.Config, path string) bool {
	if in == nil {
		info, err := os.Lstat(path)
		return err == nil && info.Mode().Type() == os.ModeSocket
	}
	for address := range in.known {
		if resolve(c, address) == "unix:"+configs.Absolute(path) {
			return true
		}
	}
	return false
}

// take gives a listener to its service; nil when there is none.
func (in *Inherited) take(address string) net.Listener {
	if in == nil {
		return nil
	}
	l := in.listeners[address]
	delete(in.listeners, address)
	return l
}

// Any says that something was handed over.
func (in *Inherited) Any() bool { return in != nil && len(in.known) > 0 }

// Close closes what no service has taken.
func (in *Inherited) Close() error {
	if in == nil {
		return nil
	}
	var errs []error
	for _, l := range in.listeners {
		errs = append(errs, l.Close())
	}
	clear(in.listeners)
	return errors.Join(errs...)
}
