// Package virtual is the delivery agent for hosted mailboxes: from the queue
// into the message store (Postfix virtual(8)).
//
// # What it does
//
// For each recipient it asks the directory for the mailbox, and hands the
// message to mailstore/plan with Return-Path, X-Original-To (when it differs) and
// Delivered-To before it. What is done with it is the plan's: today it goes into INBOX.
//
// A delivery has an ID made from the queue ID and the recipient, so the store
// keeps it once, also when the queue hands the message out again after a
// crash (agent.Request.Replay).
//
// It does not wait for the disk: its result is queue.EffectStore, and the
// queue keeps the message until the next checkpoint of the store. A plan that sends
// something on is made durable at once (plan.Outcome.Durable) and is queue.EffectFinal, so
// that it is not sent twice.
//
// # What it does not do
//
// It expands no alias and writes no file itself.
//
// # Parameters
//
// qmgr.over_quota_temporary, through [Options].
//
// # Results
//
//	2.0.0  delivered
//	5.1.1  no such mailbox (any more), or an alias has its address now
//	5.1.6  moved, with the new address
//	5.2.1  mailbox disabled
//	5.2.2  over quota; 4.2.2 with over_quota_temporary
//	4.3.0  directory or store unavailable; 4.3.1 disk full
//	4.3.5  directory misconfigured, or a plan that cannot be carried out
//	5.7.1  rejected by the plan
//
// At shutdown recipients that were not begun are not reported and stay in the
// queue.
package virtual
