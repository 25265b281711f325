package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Serve runs a command on a connection: it reads from it and writes to it, errors, too (spawn(8)). Write of the command is not
// used, and Output of the result is empty, because all goes to the peer. conn is the command's: Serve closes it here as soon as the command has it,
// so that the peer sees the end when the command is over.
//
// An error is one of ours, as of Run.
func Serve(ctx context.Context, c Command, conn *os.File) (Result, error) {
	defer conn.Close()
	if err := c.User.Permitted(); err != nil {
		return Result{}, err
	}
	r, cmd, err := c.prepare()
	if err != nil || cmd == nil {
		return r, err
	}
	// The command waits for its peer; a runtime does not wait for it.
	if err := syscall.SetNonblock(int(conn.Fd()), false); err != nil {
		return r, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = conn, conn, conn
	if err := start(cmd); err != nil {
		if isOurs(err) {
			return r, err
		}
		r.failedToStart(c, err)
		return r, nil
	}
	if err := conn.Close(); err != nil {
		kill(cmd.Process.Pid)
		return r, errors.Join(err, cmd.Wait())
	}
	return r.await(ctx, c, cmd)
}

// await waits for the end of a command whose descriptors are others', or makes it.
func (r *Result) await(ctx context.Context, c Command, cmd *exec.Cmd) (Result, error) {
	limit, cancel := context.WithTimeout(ctx, c.TimeLimit)
	defer cancel()
	group := cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- awaitEnd(group) }()
	var err error
	select {
	case err = <-ended:
	case <-limit.Done():
		r.TimedOut = ctx.Err() == nil
		kill(group)
		err = <-ended
	}
	kill(group) // what it has left; the number is nobody else's before Wait
	waited := cmd.Wait()
	if ctx.Err() != nil {
		return *r, fmt.Errorf("%s: ended with the server: %w", r.name, ctx.Err())
	}
	return *r, r.exited(cmd, err, waited)
}
