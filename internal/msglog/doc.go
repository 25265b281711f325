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
// # Output
//
// Lines gather in a buffer of bounded size and are written with one call: after
// Options.Flush, when the buffer is full, and at once for level warn and above.
// A log that cannot keep up makes its callers wait; it does not drop. Lines are
// lost only when the file cannot be written (said once on standard error and
// counted), and by a kill within the flush time. [Log.Close] writes what is
// left.
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
