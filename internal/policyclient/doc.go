// Package policyclient asks policy servers: the client's side of Postfix's SMTPD_POLICY protocol.
//
// # What it does
//
// [Client.Ask] sends a request, lines "name=value" with an empty line behind them, and returns the value of
// "action" in the reply, which has the same form. What it means is who asks's to know.
//
// A connection is kept for Options.MaxIdle, or MaxTTL after it was made, or RequestLimit requests, and
// is asked by one at a time; there are MaxConnections at most, and who needs one more waits. A request that gets no reply is sent
// again over a new connection, TryLimit times with RetryDelay between them. That a connection that was kept has been
// ended by the server meanwhile is no such failure. Connecting, sending and receiving may take Timeout each.
//
// A [Set] has one client for all who name the same server with the same settings.
//
// # What it does not do
//
// It does not keep the requests about one message on one connection, as Postfix's processes do.
//
// # Standards
//
// Postfix SMTPD_POLICY_README.
package policyclient
