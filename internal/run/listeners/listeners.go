package listeners

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"toastmaster/configs"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/service"
)

// socketMode lets the owner and the group of the instance connect.
const socketMode fs.FileMode = 0o660

// Set is where the services of a process get their listeners from: from the service
// manager, from what root opened before it was given up, or opened now. It belongs to
// one goroutine.
type Set struct {
	config    *configs.Config
	inherited *Inherited
	// early are the ports that root has opened.
	early map[string]net.Listener
}

// NewSet makes one. in may be nil.
func NewSet(c *configs.Config, in *Inherited) *Set {
	return &Set{config: c, inherited: in, early: map[string]net.Listener{}}
}

// Inherited is what the service manager has opened, nil for nothing.
func (s *Set) Inherited() *Inherited { return s.inherited }

// OpenPorts opens, while the process is root, all addresses that nobody has handed over. Unix
// sockets are the user's own.
func (s *Set) OpenPorts() error {
	for _, address := range s.config.Listeners() {
		if strings.HasPrefix(address, "unix:") || s.inherited.Has(address) {
			continue
		}
		l, err := open(s.config, address)
		if err != nil {
			return errors.Join(err, s.Close())
		}
		s.early[address] = l
	}
	return nil
}

// Listen is the listener of an address of the configuration. The caller closes it.
func (s *Set) Listen(address string) (net.Listener, error) {
	if l := s.inherited.take(address); l != nil {
		return l, nil
	}
	if l := s.early[address]; l != nil {
		delete(s.early, address)
		return l, nil
	}
	return open(s.config, address)
}

// Close closes what no service has taken, but what was inherited.
func (s *Set) Close() error {
	var errs []error
	for _, l := range s.early {
		errs = append(errs, l.Close())
	}
	clear(s.early)
	return errors.Join(errs...)
}

// open opens an address of the configuration.
func open(c *configs.Config, address string) (net.Listener, error) {
	param := c.ListenParam(address)
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		address = "unix:" + c.Path(path)
	}
	l, err := openListener(c, address, param)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: end the process that has it, or choose another address", err)
	}
	if err != nil && param != "" {
		return nil, c.Mistake(param, err)
	}
	return l, err
}

// openListener opens a socket that is for others as its parameters say, and every other one
// for the instance's own group.
func openListener(c *configs.Config, address, param string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(address, "unix:")
	u, ok := c.UnixListeners()[param]
	if !isUnix || !ok {
		return service.Listen(address, socketMode)
	}
	gid, err := rights.SocketGroup(c, u.GroupParam, u.Group)
	if err != nil {
		return nil, err
	}
	return service.ListenUnix(path, u.Mode, gid)
}
