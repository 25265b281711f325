// Command inside enters a fence around the folder and the file that it is given, and says
// what it can do then.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"toastmaster/internal/run/fence"
)

func main() {
	execute, in, file, out := os.Args[1] == "execute", os.Args[2], os.Args[3], os.Args[4]
	holds, err := fence.Fence{Writable: []string{in, file, in + "/missing", "/dev/null"}, Execute: execute}.Enter()
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
	}()
	<-done
}
