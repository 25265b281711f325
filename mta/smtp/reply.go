package smtp

import (
	"fmt"

	"toastmaster/internal/dsn"
	"toastmaster/internal/smtpreply"
)

// reply is one reply of the peer.
type reply = smtpreply.Reply

// maxText is how much text of a reply is kept. EHLO's needs less than this; what is
// read beyond it counts against the limit but needs no memory. It is no parameter:
// it is what a report shows of another host's words.
const maxText = 16 << 10

// failure is the error that a reply means for a recipient or a session.
// host is the peer's name, doing what we had said.
func failure(r *reply, host, doing string) *dsn.Error {
	status := r.Status
	if c := r.Class(); c != 4 && c != 5 {
		// A 2xx or 3xx where it makes no sense must not count as anything.
		status = protocolError
	}
	return &dsn.Error{
		Status:    status,
		Text:      fmt.Sprintf("Host %s said: %s (in reply to %s)", host, r, doing),
		RemoteMTA: host, RemoteReply: r.String(),
	}
}

// The statuses that only this client gives.
const (
	protocolError dsn.Status = 4_005_000
	tlsNotOffered dsn.Status = 4_007_004
	tlsFailed     dsn.Status = 4_007_005
	loginRefused  dsn.Status = 4_007_008
	notConverted  dsn.Status = 5_006_003
)
