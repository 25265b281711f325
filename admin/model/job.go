package model

import (
	"encoding/json"
	"time"
)

// JobState is how far a job is.
type JobState string

// The states. A job that was running when the service ended is running again
// after the next start.
const (
	JobWaiting    JobState = "waiting"
	JobRunning    JobState = "running"
	JobCancelling JobState = "cancelling"
	JobDone       JobState = "done"
	JobFailed     JobState = "failed"
	JobCancelled  JobState = "cancelled"
)

// Over says that nothing more happens.
func (s JobState) Over() bool { return s == JobDone || s == JobFailed || s == JobCancelled }

// Job is long work in the background.
type Job struct {
	ID     int64    `json:"id"`
	Kind   string   `json:"kind" example:"purge-domain"`
	Object string   `json:"object" doc:"What it is about" example:"example.org"`
	Actor  string   `json:"actor"`
	State  JobState `json:"state" enum:"waiting,running,cancelling,done,failed,cancelled"`
	// Total is 0 while it is not known.
	Total     int64 `json:"total" doc:"0 while it is not known"`
	Done      int64 `json:"done"`
	Unchanged int64 `json:"unchanged" doc:"What was so already, or had gone"`
	Failed    int64 `json:"failed"`
	// Errors are the first failures of single things.
	Errors  []string   `json:"errors" nullable:"false" doc:"The first failures of single things"`
	Error   string     `json:"error,omitempty" doc:"Why the whole failed"`
	Created time.Time  `json:"created"`
	Started *time.Time `json:"started,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
}

// JobInput is what a job is to do, as it is kept.
type JobInput struct {
	Kind   string
	Object string
	Input  json.RawMessage
}

// QueueAction is what a job does with all messages of the queue that the filter
// selects.
type QueueAction struct {
	Action string      `json:"action" enum:"hold,release,requeue,expire,delete"`
	Filter QueueFilter `json:"filter,omitempty"`
}

// Purge is what a job does that removes mailboxes with their mail.
type Purge struct {
	Domain    string   `json:"domain,omitempty"`
	Addresses []string `json:"addresses,omitempty" maxItems:"100000"`
}
