// Command inside enters a fence around the folder and the file that it is given, and says
// what it can do then.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"toastmaster/internal/run/fence"
)

func main() {
	execute, in, file, out := os.Args[1] == "execute", os.Args[2], os.Args[3], os.Args[4]
	// One that is handed over, before there is a fence.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	address := os.Args[5]
	holds, err := fence.Fence{Writable: []string{in, file, in + "/missing", "/dev/null"}, Execute: execute, Connect: execute}.Enter()
	fmt.Println("holds:", holds, err)
	say := func(what string, err error) { fmt.Printf("%s: %v\n", what, err == nil) }
	// In a thread of its own, too: the fence is around the process.
	done := make(chan struct{})
	go func() {
		defer close(done)
		say("write inside", os.WriteFile(in+"/a", nil, 0o600))
		say("folder inside", os.MkdirAll(in+"/b/c", 0o700))
		say("rename inside", os.Rename(in+"/a", in+"/b/a"))
		say("write the file", os.WriteFile(file, []byte("x"), 0o600))
		say("make outside", os.WriteFile(out+"/new", nil, 0o600))
		say("change outside", os.WriteFile(out+"/old", nil, 0o600))
		say("remove outside", os.Remove(out+"/old"))
		say("move out", os.Rename(in+"/b/a", out+"/a"))
		_, err := os.ReadFile(out + "/old")
		say("read outside", err)
		say("run", exec.Command("/bin/true").Run())
		say("run that writes outside", exec.Command("/bin/sh", "-c", "echo x > "+out+"/old").Run())
		say("signal outside", syscall.Kill(os.Getppid(), 0))
		_, err = net.Dial("tcp", address)
		say("connect out", err)
		say("accept", accept(listener))
		_, err = net.Listen("unix", in+"/s")
		say("unix socket", err)
		_, err = net.InterfaceAddrs()
		say("addresses", err)
		for what, call := range map[string]func() error{
			"ptrace":         func() error { return unix.PtraceAttach(os.Getppid()) },
			"memory":         func() error { return readMemory(os.Getppid()) },
			"user namespace": func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
			"own umask":      func() error { return unix.Unshare(unix.CLONE_FS) },
			"clone in a namespace": func() error {
				return (&exec.Cmd{Path: "/bin/true", SysProcAttr: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}}).Run()
			},
			"mount":     func() error { return unix.Mount("none", in, "tmpfs", 0, "") },
			"time":      func() error { return unix.ClockSettime(unix.CLOCK_REALTIME, &unix.Timespec{Sec: -1}) },
			"io_uring":  func() error { return raw(unix.SYS_IO_URING_SETUP) },
			"bpf":       func() error { return raw(unix.SYS_BPF) },
			"setgroups": func() error { return syscall.Setgroups(nil) },
			"execveat":  func() error { return raw(unix.SYS_EXECVEAT) },
		} {
			// Refused by the filter, and by nothing else: each would end otherwise without it.
			fmt.Printf("%s: %v\n", what, !errors.Is(call(), unix.EPERM))
		}
	}()
	<-done
}

// accept takes a connection that somebody outside makes.
func accept(l net.Listener) error {
	fmt.Println("listens:", l.Addr())
	c, err := l.Accept()
	if err != nil {
		return err
	}
	return c.Close()
}

// raw makes a call with arguments that it refuses by itself.
func raw(number uintptr) error {
	if _, _, e := unix.Syscall6(number, ^uintptr(0), ^uintptr(0), ^uintptr(0), ^uintptr(0), ^uintptr(0), ^uintptr(0)); e != 0 {
		return e
	}
	return nil
}

// readMemory reads nothing of another process, which the kernel lets nobody but its debugger do.
func readMemory(pid int) error {
	_, err := unix.ProcessVMReadv(pid, nil, nil, 0)
	return err
}
