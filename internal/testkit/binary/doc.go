// Package binary builds the real toastmaster program and runs instances of it:
// each in a folder of its own, on a block of free ports, made by
// `toastmaster init` as an operator would.
//
// # What it does
//
// [Build] compiles the program. [Create] makes an instance, [Instance.Start]
// runs `toastmaster serve` and waits for the line that says it is ready.
// [Instance.Kill] is SIGKILL, after which Start begins again on the same data.
// Domains, mailboxes and aliases are added through the program's own command
// line, so that every test drives that as well.
//
// # What it does not do
//
// It knows nothing of the program's inside: it imports none of it.
//
// # Files
//
// DIR/srv is the instance; DIR/serve.log what all its runs have printed.
package binary
