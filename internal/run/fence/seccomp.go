package fence

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errArchitecture is that the calls of this processor are not known here.
var errArchitecture = errors.New("there is no seccomp filter for this processor")

// Offsets in struct seccomp_data. The lower half of an argument comes first: both architectures are little-endian.
const (
	atNumber       = 0
	atArchitecture = 4
	atFirst        = 16
)

// namespaces are the flags of clone(2) and unshare(2) by which a process gets rights over a world of its own.
const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// refusal is what a call that is not allowed returns: an error, not the end of the process. A program
// that tries it says so in its own words.
const refusal = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)

// absent makes callers fall back to what a filter can look at: the flags of clone3 are in memory.
const absent = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)

// unfamily is what a socket of a family gets that the kernel does not have.
const unfamily = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EAFNOSUPPORT)

// forAll are calls that no role needs, nor a program that it runs. It is a list of what is refused and not of what
// is allowed: a new version of Go or SQLite, or a program of the operator, may call what nobody here knows of.
func forAll() []uint32 {
	return append(forThisProcessor(),
		// The memory and descriptors of other processes.
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE,
		// The kernel itself, and what finds its mistakes most often.
		unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT, unix.SYS_BPF,
		unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_SYSLOG, unix.SYS_PERSONALITY,
		// io_uring works behind the back of every filter.
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
		// Other views of the file system, and files without a path.
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
		unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_ACCT, unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL,
		// The machine's name and time.
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	)
}

// withoutPrograms are calls that only a program needs that is run: Go starts none without execve.
func withoutPrograms() []uint32 {
	return []uint32{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT,
		unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS,
		unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_CAPSET,
	}
}

// program is a BPF program that grows.
type program []unix.SockFilter

func (p *program) add(code uint16, k uint32, jt, jf uint8) {
	*p = append(*p, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

func (p *program) load(at uint32) { p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at, 0, 0) }

func (p *program) ret(action uint32) { p.add(unix.BPF_RET|unix.BPF_K, action, 0, 0) }

// refuse ends with an action when what is loaded is k. Each call has its own end, so that no jump is long.
func (p *program) refuse(k, action uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, 1)
	p.ret(action)
}

// refuseFlags ends the call nr when its first argument has one of these flags.
func (p *program) refuseFlags(nr, flags uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, nr, 0, 4)
	p.load(atFirst)
	p.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, flags, 0, 1)
	p.ret(refusal)
	p.ret(unix.SECCOMP_RET_ALLOW)
}

// onlyFamilies ends socket(2) for every family but these.
func (p *program) onlyFamilies(families ...uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, unix.SYS_SOCKET, 0, uint8(2+2*len(families)))
	p.load(atFirst)
	for _, f := range families {
		p.refuse(f, unix.SECCOMP_RET_ALLOW)
	}
	p.ret(unfamily)
}

// filter is the program of a fence.
func (f Fence) filter() (program, error) {
	if architecture == 0 {
		return nil, errArchitecture
	}
	p := program{}
	p.load(atArchitecture)
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, architecture, 1, 0)
	p.ret(refusal) // the numbers of other processors mean other calls
	p.load(atNumber)
	if otherNumbers != 0 {
		p.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, otherNumbers, 0, 1)
		p.ret(refusal)
	}
	calls := forAll()
	if !f.Execute {
		calls = append(calls, withoutPrograms()...)
	}
	for _, nr := range calls {
		p.refuse(nr, refusal)
	}
	p.refuse(unix.SYS_CLONE3, absent)
	p.refuseFlags(unix.SYS_CLONE, namespaces)
	p.refuseFlags(unix.SYS_UNSHARE, namespaces)
	if !f.Connect {
		p.onlyFamilies(unix.AF_UNIX, unix.AF_NETLINK)
	}
	p.ret(unix.SECCOMP_RET_ALLOW)
	return p, nil
}

// seccomp puts the filter before every thread.
func (f Fence) seccomp() error {
	p, err := f.filter()
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	tid, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	switch {
	case e != 0:
		return fmt.Errorf("seccomp: %w", e)
	case tid != 0:
		return fmt.Errorf("seccomp: the thread %d has another filter", tid)
	}
	return nil
}
