// Package proc runs programs for the tests and the benchmarks: real peers, real
// clients and our own binary.
//
// # What it does
//
// [Start] runs a program in a process group of its own and keeps what it
// prints in a file. [Process.Stop] ends the group politely, [Process.Kill]
// does not; both wait. [Reserve] finds a block of free ports on 127.0.0.1 that
// no other test of this machine uses as long as the block is held. [Find] looks
// for a program also where a user's PATH does not reach.
//
// # What it does not do
//
// It ends only what it started, by process id. It does not install anything;
// .ci/peers does.
//
// # Files
//
// The log file named in [Spec], and /proc/PID/status for memory figures.
package proc
