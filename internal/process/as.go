package process

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// As runs f with the rights of a user for files, and with one group more when group is not
// negative and this process is root. f must do its work on the goroutine that it is called on. What f
// opens stays open for others.
func As(u User, group int, f func() error) error {
	if err := u.Permitted(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return f()
	}
	var panicked *Panicked
	done := make(chan error, 1)
	// The thread is never unlocked, so the runtime ends it with the goroutine: its rights
	// cannot be given back by mistake, nor be somebody else's.
	go func() {
		runtime.LockOSThread()
		var err error
		defer func() { done <- err }()
		defer catch(&panicked)
		if err = become(u, group); err == nil {
			err = f()
		}
	}()
	err := <-done
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// Panicked is a panic of what a caller gave, on a goroutine of this package. It goes on in the caller, whose fence
// knows what is to be done: on its own goroutine it would be the end of the process, with all that others do in it.
type Panicked struct {
	Value any
	Stack []byte // where it was
}

// Error is the value, and where it was.
func (p *Panicked) Error() string { return fmt.Sprintf("%v\n%s", p.Value, p.Stack) }

// catch is deferred.
func catch(p **Panicked) {
	if v := recover(); v != nil {
		*p = &Panicked{v, debug.Stack()}
	}
}

// become changes this thread alone: the calls are raw ones, which the C library and package
// syscall would carry out on all threads.
func become(u User, group int) error {
	groups := []uint32{uint32(u.GID)}
	if group >= 0 {
		groups = append(groups, uint32(group))
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return fmt.Errorf("setgroups: %w", e)
	}
	// These two give no error: they tell what was set before, so each is asked again.
	for _, id := range []struct {
		call uintptr
		name string
		want int
	}{{unix.SYS_SETFSGID, "setfsgid", u.GID}, {unix.SYS_SETFSUID, "setfsuid", u.UID}} {
		unix.RawSyscall(id.call, uintptr(id.want), 0, 0)
		if now, _, _ := unix.RawSyscall(id.call, ^uintptr(0), 0, 0); int(now) != id.want {
			return fmt.Errorf("%s(%d): it stayed %d", id.name, id.want, now)
		}
	}
	return nil
}
