package queue

// Room says whether a message of size octets may come in: 4.3.1 when it would
// leave less than queue.min_free on the queue's file system, 4.3.0 when the queue
// is not in its place. size is 0 when it is not known. It is measured at most
// once a second.
func (q *Queue) Room(size int64) error { return q.space.Room(size) }
