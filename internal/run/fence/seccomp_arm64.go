package fence

import "golang.org/x/sys/unix"

const architecture = uint32(unix.AUDIT_ARCH_AARCH64)

// otherNumbers is 0: there are none.
const otherNumbers = uint32(0)

func forThisProcessor() []uint32 { return []uint32{unix.SYS_KEXEC_FILE_LOAD} }
