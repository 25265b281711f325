package maildrop

// Paths of the socket's requests.
const (
	SubmitPath = "/submit"
	// MaxAnswer bounds an answer.
	MaxAnswer = 64 << 10
)

// Answer is what the service says of a message, in JSON.
type Answer struct {
	// ID is that in the queue, "" for a message that was refused, or that has none.
	ID string `json:"id,omitempty"`
	// Status is that of RFC 3463, as text, and Text what the user hears.
	Status string `json:"status"`
	Text   string `json:"text"`
}
