package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/proc"
)

const activate = "/usr/bin/systemd-socket-activate"

// TestSocketActivation: systemd-socket-activate opens a port of the configuration, one
// that is known by its name, and the admin socket in a folder where the service may
// write nothing; the service takes them over, gives up root and opens the other ports
// itself. `toastmaster stop` ends it and not who made the socket, whose name stays.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	ports, err := proc.Reserve()
	must(t, err)
	t.Cleanup(ports.Close)
	who, err := user.Current()
	must(t, err)
	var init []string
	if os.Geteuid() == 0 {
		who, err = user.Lookup("nobody")
		must(t, err)
		init = []string{"--user", who.Username}
	}
	b := serveWith(t, binary.Options{Init: init})
	must(t, b.Stop())
	sockets := filepath.Join(b.dir, "sockets")
	must(t, os.Mkdir(sockets, 0o777))
	must(t, os.Chmod(sockets, 0o777))
	socket := filepath.Join(sockets, "admin.sock")
	_, err = b.Run(testContext(t), "", "config", "set", "admin.socket", socket)
	must(t, err)
	pop3 := ports.Addr(110)
	must(t, os.Chmod(sockets, 0o755))

	b.Through(activate, "-l", b.SMTP(), "-l", pop3, "-l", socket, "--fdname=smtp:pop3d.listen:admin.socket")
	must(t, b.Launch())
	must(t, proc.WaitPort(testContext(t), b.SMTP(), b.Process())) // the first client starts it
	must(t, b.WaitReady(testContext(t)))
	status := readFile(t, fmt.Sprintf("/proc/%d/status", b.Process().Pid()))
	if want := "Uid:\t" + strings.TrimSpace(strings.Repeat(who.Uid+"\t", 4)); !strings.Contains(status, want) {
		t.Errorf("no %q in %s", want, status)
	}
	b.sendOne(t, "a@example.net", bob, "activated")
	b.waitMail(t, bob, 1)
	for _, address := range []string{pop3, b.IMAP()} {
		c, err := net.Dial("tcp", address)
		must(t, err)
		must(t, c.Close())
	}
	if c, err := net.Dial("tcp", b.POP3()); err == nil {
		t.Errorf("pop3d listens on %s, too: %v", b.POP3(), c.Close())
	}
	out, err := b.Run(testContext(t), "", "status")
	must(t, err)
	for _, part := range []string{b.SMTP(), pop3, socket, b.IMAP()} {
		if !strings.Contains(out, part) {
			t.Errorf("no %s in\n%s", part, out)
		}
	}
	out, err = b.Run(testContext(t), "", "config", "check", "--bind")
	if must(t, err); strings.Contains(out, "another program") {
		t.Error(out)
	}
	// Nothing of a socket that was handed over is looked at again.
	out, err = b.Run(testContext(t), "", "reload")
	if must(t, err); !strings.Contains(out, "reloaded") {
		t.Error(out)
	}
	out, err = b.Run(testContext(t), "", "stop")
	if must(t, err); !strings.Contains(out, fmt.Sprintf("process %d has ended", b.Process().Pid())) || b.Running() && b.Process().Err() != nil {
		t.Error(out)
	}
	<-b.Process().Done()
	if info, err := os.Lstat(socket); err != nil || info.Mode().Type() != os.ModeSocket {
		t.Errorf("the socket of the service manager: %v %v", info, err)
	}
	b.Through()
}

// TestConfigCheckOfInherited: what is handed over is matched before anything is started,
// and what nobody wants is a mistake that says what to do.
func TestConfigCheckOfInherited(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	must(t, b.Stop())
	listen := func(address string) *os.File {
		t.Helper()
		l, err := net.Listen("tcp", address)
		must(t, err)
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		must(t, err)
		t.Cleanup(func() { must(t, f.Close()) })
		return f
	}
	wanted, other := listen(b.SMTP()), listen("127.0.0.1:0")
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer packets.Close()
	udp, err := packets.(*net.UDPConn).File()
	must(t, err)
	defer udp.Close()
	for _, c := range []struct {
		what, names string
		files       []*os.File
		args        []string
		code        int
		says        string
	}{
		{"what is configured", "", []*os.File{wanted}, []string{"config", "check", "--bind"}, 0, "no mistakes"},
		{"by name", "imapd.listen_tls", []*os.File{other}, []string{"config", "check"}, 0, "no mistakes"},
		{"what nobody wants", "toastmaster.socket", []*os.File{other}, []string{"config", "check"}, 2, "with the name \"toastmaster.socket\", which is no address of a parameter"},
		{"what nobody wants", "", []*os.File{wanted, other}, []string{"serve"}, 2, "FileDescriptorName="},
		{"a name twice", "imapd.listen:imapd.listen", []*os.File{other, listen("127.0.0.1:0")}, []string{"serve"}, 2, "with the name \"imapd.listen\""},
		{"a socket of packets", "smtpd.listen", []*os.File{udp}, []string{"serve"}, 2, "no listening socket"},
		{"nothing where something should be", "", nil, []string{"serve"}, 2, "no listening socket"},
	} {
		cmd := exec.CommandContext(testContext(t), "/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, program, "-c", b.ConfigFile()}, c.args...)...)
		cmd.ExtraFiles = c.files
		cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", max(len(c.files), 1)), "LISTEN_FDNAMES="+c.names)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.code || !strings.Contains(string(out), c.says) || strings.Contains(string(out), "another program") {
			t.Errorf("%s: exit %d, %s", c.what, got, out)
		}
	}
}

// TestInheritedSocketSaysWhoServes: who asks the admin socket for its process (SO_PEERCRED,
// as stop does) hears of the service and not of the one that made the socket.
func TestInheritedSocketSaysWhoServes(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	must(t, b.Stop())
	made, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(b.Data(), "admin.sock"), Net: "unix"})
	must(t, err)
	made.SetUnlinkOnClose(false)
	f, err := made.File()
	must(t, err)
	defer f.Close()
	cmd := exec.CommandContext(testContext(t), "/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, program, "-c", b.ConfigFile(), "serve")
	cmd.ExtraFiles, cmd.Env = []*os.File{f}, append(os.Environ(), "LISTEN_FDS=1")
	must(t, cmd.Start())
	must(t, made.Close())
	eventually(t, func() error { // it answers while it starts, too
		_, err := b.Run(testContext(t), "", "status")
		return err
	})
	c, err := net.Dial("unix", filepath.Join(b.Data(), "admin.sock"))
	must(t, err)
	raw, err := c.(*net.UnixConn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err != nil || int(cred.Pid) != cmd.Process.Pid {
			t.Errorf("the socket says that %v serves, not %d (%v)", cred, cmd.Process.Pid, err)
		}
	}))
	must(t, c.Close())
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Wait())
}
