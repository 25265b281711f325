// Package configs declares every parameter once: name, unit, default, bounds
// and text. The file toastmaster.toml, the manual (docs/parameters.md), the
// sample files and `toastmaster config explain` all come from these rows.
//
// # Files
//
// A section of the file is a struct and a function that lists its rows, in a
// file of its own (smtpd.go: [smtpd]). A daemon takes its section's struct by
// value; it never reads the file.
//
// # Errors
//
// [Load] refuses an unknown parameter, a value of the wrong type or out of
// bounds, with one line: file, line, parameter, what is allowed.
package configs
