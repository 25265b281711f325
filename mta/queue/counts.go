package queue

// Counts counts the messages in each place without listing them: the files in
// deferred/ and hold/ are counted as they come and go, what is in memory is at
// most queue.incoming_limit and the active ones, and corrupt/ is read. While
// messages move it may be off by those.
func (l *listing) Counts() (map[Place]int64, error) {
	n := l.index.counts()
	n[Deferred] = max(n[Deferred]+l.disk.files.deferred.Load(), 0)
	n[Hold] = max(n[Hold]+l.disk.files.hold.Load(), 0)
	corrupt, err := l.disk.corrupt.IDs()
	n[Corrupt] = int64(len(corrupt))
	return n, diskError(err)
}
