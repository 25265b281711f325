package main

import "runtime/debug"

// release is what `git describe` said when the Makefile built the program, "" for
// a build without it.
var release string

// version is the tag that the program was built from, with the commits since then.
// A plain `go build` has what the toolchain recorded, "(devel)" without git.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
