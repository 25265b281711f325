// Package mailcopy writes a message as programs and mailbox files of a host want it, with
// what goes before and behind it: Postfix's mail_copy().
//
// # What it does
//
// [Copy] says what is put before the message and how its lines are changed; [Copy.Write] writes
// it, in blocks, whatever its size. A message whose last line has no end gets one.
//
// # What it does not do
//
// It locks and syncs nothing, and looks at no field: [Loops] does, for agents that end
// loops by Delivered-To.
package mailcopy
