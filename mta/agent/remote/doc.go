// Package remote is an agent in another process: the seam by which qmgr's role hands deliveries to the role that may work as other
// users (Postfix's deliver request, deliver_request(3), from qmgr(8) to local(8) and pipe(8)).
//
// # What it does
//
// [Agent] stands where the agent would, in the process that has the queue. [Server] has the agents. A delivery is a connection:
//
//	Agent                                   Server
//	length, descriptor of the content  -->
//	the request as JSON                -->
//	                                   <--  result      of a recipient, as soon as it is known
//	                                   <--  submit      a message for the queue: what local forwards
//	its ID, or why not                 -->
//	                                   <--  pass        a recipient for another transport, which the queue's process has
//	its result                         -->
//	                                   <--  alive       every 10 s
//	                                   <--  done        Deliver has returned
//	end of its side                    -->              its context has ended: commands are ended, results still come
//
// What is sent on never crosses twice: the content of what is submitted or passed is the message's, which the queue's process has, and
// only fields before it come.
//
// # What is not reported
//
// A recipient of whom nothing was said when the connection ends is deferred with 4.3.0, and tried again. A delivery that was made in
// that moment is made again: docs/internals/journal.md.
//
// # Bounds
//
// The request has 30 s to come and 8 MiB; silence of 60 s ends a delivery for the Agent; after the end of its context the other side has 30 s. What a delivery
// takes is the agent's to bound. How many run at once is bounded by qmgr, and by whoever calls [Server.Serve].
//
// # Trust
//
// The side with the rights believes nothing but the message: transports are those of its own configuration, addresses and words have
// no line ends or NUL in them.
package remote
