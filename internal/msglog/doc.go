// Package msglog turns mail events into one log line and one metric each.
//
// # What it does
//
// An event is a struct; [Log.Event] writes it with the same keys always, as
// text or JSON, keyed by queue ID or session ID, and counts it for /metrics.
// Diagnostics that are no mail event go through the embedded slog.Logger.
// Passwords, tokens and message content have no field here, so they cannot be
// logged by accident.
//
// # Text
//
// A line is "time level event key=value ...", the time in UTC with
// milliseconds. A value with a space, a quote or anything unprintable in it is
// quoted as Go quotes, so no peer can begin a line of its own. An empty text
// has no key on the line. Values of events are cut at 1,024 octets.
//
// Warn are refusals for a reason of this system (4.3.z), deliveries that did not
// succeed and failed log-ins; error is what somebody must look at. Other events
// are info.
//
// # Postfix
//
// The format postfix is for programs that read the logs of Postfix and Dovecot.
// An event becomes the line or lines that those would write, or none; what a
// peer chose cannot leave its brackets or begin a line. docs/log.md shows it.
//
// # Output
//
// Nobody who logs waits for the file. Lines gather in a buffer of bounded size,
// from which one goroutine writes: after Options.Flush, when half of the buffer
// is full, and at once for level warn and above. When the file takes nothing (a
// reader of the pipe that has stalled, a disk that hangs) and the buffer is full,
// lines are dropped and counted; the line "log lines dropped" stands where they
// are missing, as soon as there is room. The same is done for what could not be
// written (said once on standard error, too). [Log.Health] is an error meanwhile,
// and after a write has taken three seconds. Order is kept, and no line is torn
// but by a failed write.
//
// A kill, or a crash of the process, loses what was logged within the flush time,
// for a warning the time of a write. The runtime writes its last words about a
// fatal error to standard error itself. [Log.Close] writes what is left and gives
// up after Options.CloseTimeout. [Log.Reopen] leaves a file that cannot be written
// to the goroutine that waits for it, and goes on with the new one.
//
// # Parameters
//
// Section [log] of the configuration; [Options] has the same names. [Log.Reopen]
// follows a rotated file.
//
// # Metrics
//
// metrics.go lists them. No label holds anything that a peer may choose freely.
package msglog
