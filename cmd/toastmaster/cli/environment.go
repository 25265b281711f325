package cli

import (
	"errors"
	"io"
	"io/fs"

	"toastmaster/configs"
	"toastmaster/internal/run/usage"
)

// Environment is what a command gets from the outside world, so that a test
// can run commands without a process.
type Environment struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// ConfigFile is the value of -c.
	ConfigFile string
	// Socket is that of pickup, by which a user who may not use the administration's asks about the queue; "" for
	// everybody else.
	Socket string
	// Program is the path of this program as it was called, Args what it was called with:
	// for who starts it again.
	Program string
	Args    []string
	// Version is what the program calls itself.
	Version string
}

// usageError is a mistake in the command line.
func usageError(format string, args ...any) error { return usage.Errorf(format, args...) }

// File is the configuration file: -c, else TOASTMASTER_CONFIG, else the one
// place a package would put it.
func (e *Environment) File() string {
	if e.ConfigFile != "" {
		return e.ConfigFile
	}
	if f := e.Getenv("TOASTMASTER_CONFIG"); f != "" {
		return f
	}
	return "/etc/toastmaster/toastmaster.toml"
}

// Config reads the configuration file. Its errors are mistakes of usage.
func (e *Environment) Config() (*configs.Config, error) {
	c, err := configs.Load(e.File())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usageError("%s: %w: name the configuration with -c FILE or TOASTMASTER_CONFIG; `toastmaster init DIR` makes one for a new instance", e.File(), fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return nil, usageError("%s: %w: do this as root, or as the user that the service runs as", e.File(), fs.ErrPermission)
	case err != nil:
		return nil, usage.New(err)
	}
	return c, nil
}

// said marks an error whose text was printed: only its exit code is left.
func said(err error) error {
	if err == nil {
		return nil
	}
	return &printed{err}
}

type printed struct{ error }

func (p *printed) Unwrap() error { return p.error }

// exitCode is the process's answer to err.
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, usage.Err):
		return 2
	}
	return 1
}
