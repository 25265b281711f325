package rights

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
)

// keptCapabilities are what the role that stays root needs of it: to become the users whose mail and commands it has, and to end what
// they have left running. It is the owner of root's files besides, and of nobody else's.
const keptCapabilities = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL

// StayRoot gives up, in every thread and for good, what root may but for that; the process keeps the user root, with the group of
// main.user for what all roles read.
func StayRoot(c *configs.Config) error {
	roles, err := RolesOf(c)
	if err != nil {
		return err
	}
	if roles == nil || os.Geteuid() != 0 {
		return errors.New("the role privileged takes master.role_users, and a master that root starts")
	}
	if err := syscall.Setgroups([]int{roles.Main.gid}); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := dropBounding(); err != nil {
		return err
	}
	return dropCapabilities()
}

// dropBounding makes that nothing which is run by this process gets more.
func dropBounding() error {
	for n := uintptr(0); n < 64; n++ {
		has, _, e := unix.Syscall(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, n, 0)
		if e != 0 {
			break // there is no such capability, nor a higher one
		}
		if has == 0 || keptCapabilities>>n&1 != 0 {
			continue
		}
		if _, _, e := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, n, 0); e != 0 {
			return fmt.Errorf("the role privileged cannot give up capability %d (CAP_SETPCAP, which its service needs in CapabilityBoundingSet=): %w", n, e)
		}
	}
	return nil
}

// dropCapabilities leaves the kept ones permitted and effective.
func dropCapabilities() error {
	head := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{{Effective: keptCapabilities, Permitted: keptCapabilities}}
	var pinned runtime.Pinner // their addresses are numbers in the call
	pinned.Pin(head)
	pinned.Pin(data)
	defer pinned.Unpin()
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(data)), 0); e != 0 {
		return fmt.Errorf("capset: %w", e)
	}
	return nil
}

// usesAllFiles says that this process may use every file, as root may by its capabilities and not by its number.
func usesAllFiles() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&head, &data[0]) == nil && data[0].Effective>>unix.CAP_DAC_OVERRIDE&1 != 0
}
