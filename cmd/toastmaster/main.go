package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"toastmaster/cmd/toastmaster/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := &cli.Environment{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: version()}
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
