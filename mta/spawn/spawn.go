package spawn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/msglog"
	"toastmaster/internal/process"
	"toastmaster/internal/service"
)

// Options are what a Daemon is made of. All are needed.
type Options struct {
	// Params is the table of the service.
	Params configs.Spawn
	// Export is main.export_environment.
	Export []string
	Log    *msglog.Log
	Clock  clock.Clock
}

// Daemon runs the command of one service. Safe for concurrent use.
type Daemon struct {
	o    Options
	user hostuser.User
}

// New makes a Daemon; the error says what in the table is wrong.
func New(o Options) (*Daemon, error) {
	user, err := hostuser.Parse(o.Params.User)
	if err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	if err := user.Permitted(); err != nil { // nobody who connects could be told
		return nil, fmt.Errorf("user: %w", err)
	}
	return &Daemon{o, user}, nil
}

// ServeConn runs the command on a connection, and returns when both are over.
func (d *Daemon) ServeConn(ctx context.Context, c net.Conn) {
	name, session, client := "spawn/"+d.o.Params.Name, service.NewSessionID(), service.ClientText(service.ClientAddr(c))
	began := d.o.Clock.Now()
	d.o.Log.Event(msglog.Connect{Service: name, Session: session, Client: client})
	result, err := d.run(ctx, c)
	reason := ending(&result, err)
	if reason != "exit 0" {
		fields := []any{"service", name, "session", session, "status", reason}
		switch {
		case err != nil:
			fields = append(fields, "cause", err)
		case result.Error() != nil && result.Output != "": // it did not start: what a command says its peer hears
			fields = append(fields, "cause", result.Output)
		}
		d.o.Log.Warn("command", fields...)
	}
	d.o.Log.Event(msglog.Disconnect{Service: name, Session: session, Client: client, Duration: d.o.Clock.Now().Sub(began), Reason: reason})
}

// run hands the connection to the command. It is closed here, so that its end is that of the command.
func (d *Daemon) run(ctx context.Context, c net.Conn) (process.Result, error) {
	socket, ok := c.(interface{ File() (*os.File, error) })
	if !ok {
		return process.Result{}, fmt.Errorf("a connection that is no socket (%T)", c)
	}
	f, err := socket.File()
	if err = errors.Join(err, c.Close()); err != nil {
		return process.Result{}, err
	}
	p := &d.o.Params
	return process.Serve(ctx, process.Command{
		Argv: p.Argv, Name: p.Name, Env: process.Environment(d.o.Export), User: d.user, TimeLimit: p.TimeLimit,
	}, f)
}

// ending is how a command ended, for the log.
func ending(r *process.Result, err error) string {
	switch {
	case err != nil:
		return "failed"
	case r.TimedOut:
		return "time limit"
	case r.Signal != 0:
		return fmt.Sprintf("signal %d", int(r.Signal))
	}
	return fmt.Sprintf("exit %d", r.Exit)
}
