// Package usage is the kind of error that is the asker's mistake.
//
// # What it does
//
// [Errorf] and [New] make an error that [Err] matches: a mistake in the command line, in the
// configuration or in what it names. The command ends with code 2, and no restart mends it.
//
// # What it does not do
//
// It says no place: configs.Mistake has that of a parameter.
package usage
