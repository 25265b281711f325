package process

import (
	"os/exec"
	"strings"
)

// shell runs what needs one.
const shell = "/bin/sh"

// plainCharacters are those that mean nothing to a shell.
const plainCharacters = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t"

// CommandLine is the command of a line that a user or an administrator wrote. It is run
// directly where no character of it means something to a shell; what has one, and a word
// that is no program but may be of the shell's own ("exit 67"), goes to /bin/sh.
func CommandLine(line string) []string {
	words := strings.Fields(line)
	if len(words) > 0 && strings.Trim(line, plainCharacters) == "" {
		if strings.Contains(words[0], "/") {
			return words
		}
		if _, err := lookPath(words[0]); err == nil {
			return words
		}
	}
	return []string{shell, "-c", line}
}

// Path is PATH for commands.
const Path = "/usr/bin:/bin"

// lookPath finds a program as a command does that has Path.
func lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(Path, ":") {
		if path, err := exec.LookPath(dir + "/" + name); err == nil {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}
