package envelope

import (
	"crypto/sha256"
	"encoding/hex"

	"toastmaster/internal/addr"
)

// DeliveryID names the delivery of a message to a recipient, in 64 letters and
// digits at most: the queue ID and 96 bits of a hash of the recipient. A hash,
// because an address is longer than the store allows and has characters that
// no file name should; not the index in the envelope, because that means
// nothing to a reader of another envelope. Two recipients of one message
// collide with a probability of 2^-96.
func DeliveryID(id QueueID, to addr.Address) string {
	sum := sha256.Sum256([]byte(to.Key()))
	b := make([]byte, 0, 64)
	b = append(b, id...)
	return string(hex.AppendEncode(b, sum[:12]))
}
