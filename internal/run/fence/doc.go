// Package fence takes away from a process what it does not need, for good and for every thread
// and child of it.
//
// # What it does
//
// [Fence.Enter] sets no_new_privs (prctl(2)): no program gives it rights. Then a Landlock domain
// (landlock(7)): files are written, made, renamed and removed below the given folders and files
// alone, no program is executed unless it may, and no process outside the domain is sent a signal.
// What the kernel's version of Landlock does not know yet is left out. Then a seccomp filter (seccomp(2)) refuses system
// calls with EPERM: for all those that look into other processes, change the kernel, mounts, namespaces, time or name of the
// machine, and io_uring; without Execute also execve and all that changes users; without Connect sockets of
// another family than AF_UNIX and AF_NETLINK (EAFNOSUPPORT). [Fence.Enter] says what holds.
//
// # What it does not do
//
// It restricts no reading; what is connected to from a program that may connect is its own affair. Folders that are not there are left out. It does not replace the
// permissions of files: what they forbid stays forbidden. It needs a program without cgo
// (syscall.AllThreadsSyscall), and for the filter amd64 or arm64.
package fence
