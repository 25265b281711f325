// Package msglog turns mail events into one log line and one metric each.
//
// An event is a struct; [Log.Event] writes it with the same keys always, as
// text or JSON, keyed by queue ID or session ID, and counts it for /metrics.
// Diagnostics that are no mail event go through the embedded slog.Logger.
// Passwords, tokens and message content have no field here, so they cannot be
// logged by accident.
package msglog
