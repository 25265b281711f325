package fence

import "golang.org/x/sys/unix"

const architecture = uint32(unix.AUDIT_ARCH_X86_64)

// otherNumbers is where those of x32 begin, which are the same calls under other numbers.
const otherNumbers = uint32(0x40000000)

func forThisProcessor() []uint32 {
	return []uint32{unix.SYS_KEXEC_FILE_LOAD, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_CREATE_MODULE, unix.SYS__SYSCTL}
}
