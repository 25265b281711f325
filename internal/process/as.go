package process

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"

	"toastmaster/internal/hostuser"
)

// As runs f as a user, but for the numbers that say who may touch this process, and with one group more when group is not
// negative and this process is root. f must do its work on the goroutine that it is called on. What f
// opens stays open for others.
func As(u hostuser.User, group int, f func() error) error {
	if err := u.Permitted(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return f()
	}
	var panicked *Panicked
	err := onThread(func() (err error) {
		defer catch(&panicked)
		if err = become(u, group); err == nil {
			err = f()
		}
		return err
	})
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// onThread runs f on a thread that ends with it. There is no way back to root that could fail or be forgotten:
// a thread that is locked when its goroutine ends is ended by the runtime, and is nobody else's. The first thread of the process
// cannot end, and by it others see whose the process is: it does nothing here, and the runtime puts it aside for good.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			done <- onThread(f)
			return
		}
		done <- f()
	}()
	return <-done
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
func become(u hostuser.User, group int) error {
	groups := []uint32{uint32(u.GID)}
	if group >= 0 {
		groups = append(groups, uint32(group))
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return fmt.Errorf("setgroups: %w", e)
	}
	// The effective numbers alone: with them go all capabilities, among them the one that lets root exceed quotas and use
	// reserved blocks (setfsuid(2) leaves it). The real and the saved ones stay root's: by these the user may
	// neither signal nor trace the thread.
	const same = ^uintptr(0)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, same, uintptr(u.GID), same); e != 0 {
		return fmt.Errorf("setresgid: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(u.UID), same); e != 0 {
		return fmt.Errorf("setresuid: %w", e)
	}
	return nil
}
