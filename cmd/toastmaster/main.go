package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"toastmaster/cmd/toastmaster/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := &cli.Environment{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: version(), Program: programPath(), Args: os.Args[1:]}
	os.Exit(run(ctx, env, filepath.Base(os.Args[0]), os.Args[1:]))
}

// run acts as the program that it was called as.
func run(ctx context.Context, env *cli.Environment, calledAs string, args []string) int {
	for _, p := range personalities {
		if p.name == calledAs {
			return p.run(ctx, env, args)
		}
	}
	return cli.Run(ctx, env, args)
}

// programPath is the name by which this program was found, and not what it leads to: an upgrade
// may change where a link leads.
func programPath() string {
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		path, _ = os.Executable()
	}
	return path
}
