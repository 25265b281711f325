package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := &environment{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	os.Exit(run(ctx, env, filepath.Base(os.Args[0]), os.Args[1:]))
}

// run acts as the program that it was called as.
func run(ctx context.Context, env *environment, calledAs string, args []string) int {
	for _, p := range personalities {
		if p.name == calledAs {
			return p.run(ctx, env, args)
		}
	}
	return runCommand(ctx, env, args)
}
