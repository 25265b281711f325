// Package verify finds out whether an address takes mail, by asking the host that would get it (Postfix
// verify(8), ADDRESS_VERIFICATION_README). The restrictions reject_unverified_sender and
// reject_unverified_recipient stand on it.
//
// # What it does
//
// An address that is hosted here is decided by the directory; an alias for one address by
// that address, one for several is deliverable. For any other the way of its mail is
// resolved, and the agent is asked for a probe: the client of SMTP goes as far as
// RCPT and ends the transaction with RSET or QUIT; error and retry say what they say to
// mail. Of an agent that knows no probe (agent.Prober) each address is deliverable.
//
// A probe is no message: it is never in the queue, so that none is left after a
// restart, none is tried for days, and none comes back as a report. Two who ask for one
// address wait for one probe, verify.poll_delay times verify.poll_count less one; the
// probe goes on when they have gone.
//
// # What is remembered
//
// A result is kept with its time (internal/diskcache: verify_cache in main.data_dir). While it
// counts (positive_expire_time, negative_expire_time) it is the answer; when it is older than
// its refresh time, a probe is made beside. A failure does not take the place of a
// success that still counts. A temporary failure is kept as a negative result is.
//
// # Limits
//
// Probes on their way are bounded: in all, for one client, for one domain. An address
// beyond them is Unknown, which defers mail and refuses nobody.
//
// # Parameters
//
// Section [verify].
//
// # What it does not do
//
// It makes no connection that mail would not make: private networks, own addresses and null MX
// are decided by the agent. It has no sender that changes with time: the sender is the null sender.
package verify
