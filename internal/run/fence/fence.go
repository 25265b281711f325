package fence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Fence is what a process may.
type Fence struct {
	// Writable are the folders and files that it may write in.
	Writable []string
	// Execute says that it may run programs.
	Execute bool
	// Connect says that it may make sockets of the internet. Those that it was handed, and connections
	// that come in on them, it has in any case.
	Connect bool
}

// writeRights are the rights to change files, with the version of Landlock that knows them.
var writeRights = []struct {
	version int
	rights  uint64
}{
	{1, unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM},
	{2, unix.LANDLOCK_ACCESS_FS_REFER},
	{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE},
}

// fileRights are those that a rule for a file may have.
const fileRights = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE

// scopeVersion is the version that keeps signals inside.
const scopeVersion = 6

// Enter fences this process. holds says what holds from now on; an error is what does not.
func (f Fence) Enter() (holds string, err error) {
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return "", fmt.Errorf("no_new_privs: %w", e)
	}
	held := []string{"no_new_privs"}
	version, noLandlock := f.landlock()
	if noLandlock == nil {
		held = append(held, fmt.Sprintf("landlock-%d", version))
	}
	// After Landlock, whose calls it need not know.
	noFilter := f.seccomp()
	if noFilter == nil {
		held = append(held, "seccomp")
		if !f.Connect {
			held = append(held, "no_internet")
		}
	}
	if !f.Execute && (noLandlock == nil || noFilter == nil) {
		held = append(held, "no_exec")
	}
	return strings.Join(held, " "), errors.Join(noLandlock, noFilter)
}

// landlock enters the domain, and says by which version.
func (f Fence) landlock() (version int, err error) {
	n, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0, fmt.Errorf("the kernel has no Landlock: %w", e)
	}
	version = int(n)
	var rights uint64
	for _, r := range writeRights {
		if version >= r.version {
			rights |= r.rights
		}
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: rights}
	if !f.Execute {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_EXECUTE
	}
	if version >= scopeVersion {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL
	}
	size := unsafe.Sizeof(attr) // an older kernel wants zeros behind what it knows
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if e != 0 {
		return 0, fmt.Errorf("landlock_create_ruleset: %w", e)
	}
	defer unix.Close(int(fd))
	for _, path := range f.Writable {
		if err := allow(int(fd), path, rights); err != nil {
			return 0, err
		}
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); e != 0 {
		return 0, fmt.Errorf("landlock_restrict_self: %w", e)
	}
	return version, nil
}

// allow adds a folder or file to a ruleset.
func allow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); e != 0 {
		return &os.PathError{Op: "landlock_add_rule", Path: path, Err: e}
	}
	return nil
}
