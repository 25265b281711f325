// Report reads the events of "go test -json" and tells what a person wants to
// see meanwhile: a line for each package as soon as it ends, the output of what
// failed, every half minute what is still running, and at the end how long it
// took. Its exit code is 1 when something failed, and with -noskip when a test was
// left out.
package main
