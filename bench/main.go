package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
)

func main() {
	// Clients block threads (see blocking); none must wait for another's turn.
	runtime.GOMAXPROCS(64)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	wanted            *regexp.Regexp
	rounds            int
	quick, list       bool
	noPeers, noServer bool
	parent, output    string
	against           string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	pattern := flags.String("run", "", "run only the stages whose name matches this regular expression")
	flags.IntVar(&o.rounds, "rounds", 3, "measure so often and take the median")
	flags.BoolVar(&o.quick, "quick", false, "one round with a tenth of the load: to see that it works, not to compare")
	flags.StringVar(&o.parent, "dir", "", "folder on the disk to be measured (default: the system's for temporary files)")
	flags.StringVar(&o.output, "o", "", "write the report to this file too")
	flags.BoolVar(&o.list, "list", false, "list the stages")
	flags.BoolVar(&o.noPeers, "solo", false, "measure only Toastmaster")
	flags.BoolVar(&o.noServer, "peers", false, "measure only the peers")
	flags.StringVar(&o.against, "against", "", "measure against this other program of Toastmaster, not against the peers")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return o, err
	case o.noPeers && o.noServer:
		return o, errors.New("-solo and -peers leave nothing to measure")
	case o.against != "" && (o.noPeers || o.noServer):
		return o, errors.New("-against wants both sides: neither -solo nor -peers")
	case o.rounds < 1:
		return o, errors.New("-rounds must be 1 or more")
	}
	o.wanted, err = regexp.Compile(*pattern)
	return o, err
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	chosen := choose(allStages(), o.wanted)
	if o.list || len(chosen) == 0 {
		for _, s := range allStages() {
			fmt.Fprintf(stdout, "%-10s %s\n", s.name, s.text)
		}
		return nil
	}
	dir, err := peers.MakeDir(o.parent)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	apart(dir)
	l := &lab{dir: dir, rounds: o.rounds, scale: 1, ours: !o.noServer, theirs: !o.noPeers, against: o.against, progress: os.Stderr}
	if o.quick {
		l.rounds, l.scale = 1, 0.1
	}
	if l.ours {
		l.say("building the program")
		l.program, err = binary.Build(ctx, dir)
		if err != nil {
			return err
		}
	}
	machine, err := describeMachine(dir, o.quick)
	if err != nil {
		return err
	}
	results, err := l.runAll(ctx, chosen)
	text := report(machine, l, results)
	fmt.Fprint(stdout, text)
	if o.output != "" && len(results) > 0 {
		err = errors.Join(err, os.WriteFile(o.output, []byte(text), 0o644))
	}
	return err
}

// apart asks ext4 to put each folder in dir into a part of the disk of its own
// (chattr +T). Else they lie where dir lies, in /tmp as a rule, and whoever is
// measured first pays for the files that the compiler left and removed there;
// see stage.go. Other file systems refuse, and have no such trap.
func apart(dir string) {
	const topDir = 0x00020000 // FS_TOPDIR_FL
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	if flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
}

func choose(all []stage, wanted *regexp.Regexp) []stage {
	var chosen []stage
	for _, s := range all {
		if wanted.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}
