package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"toastmaster/configs"
)

// environment is what a command gets from the outside world, so that a test
// can run commands without a process.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	// configFile is the value of -c.
	configFile string
}

// errUsage marks an error that is the caller's mistake: exit code 2.
var errUsage = errors.New("usage")

// usageError is a mistake in the command line.
func usageError(format string, args ...any) error {
	return &usage{fmt.Errorf(format, args...)}
}

type usage struct{ error }

func (u *usage) Is(target error) bool { return target == errUsage }
func (u *usage) Unwrap() error        { return u.error }

// file is the configuration file: -c, else TOASTMASTER_CONFIG, else the one
// place a package would put it.
func (e *environment) file() string {
	if e.configFile != "" {
		return e.configFile
	}
	if f := e.getenv("TOASTMASTER_CONFIG"); f != "" {
		return f
	}
	return "/etc/toastmaster/toastmaster.toml"
}

// config reads the configuration file. Its errors are mistakes of usage.
func (e *environment) config() (*configs.Config, error) {
	c, err := configs.Load(e.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usageError("%s: %w: name the configuration with -c FILE or TOASTMASTER_CONFIG; `toastmaster init DIR` makes one for a new instance", e.file(), fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return nil, usageError("%s: %w: do this as root, or as the user that the service runs as", e.file(), fs.ErrPermission)
	case err != nil:
		return nil, &usage{err}
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
	case errors.Is(err, errUsage):
		return 2
	}
	return 1
}
