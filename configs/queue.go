package configs

import "time"

// Queue is the section [queue].
type Queue struct {
	MemoryLimit        int64
	ContentMemory      int64
	SegmentSize        int64
	MaxSegments        int
	MoveSegments       int
	MaxWaiting         int64
	MinFree            int64
	IncomingLimit      int
	AddWait            time.Duration
	RunDelay           time.Duration
	DueLimit           int
	CheckpointInterval time.Duration
	LazyInterval       time.Duration
}

func (c *Queue) params() []Param {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	return []Param{
		Size("queue.memory_limit", &c.MemoryLimit, 256*kib, 4*kib, 4*mib,
			"A message up to this size is received in memory and written into the journal; a larger one goes to a file of its own, which the queue links."),
		Size("queue.content_memory", &c.ContentMemory, 64*mib, 0, 16*gib,
			"How much content of accepted messages stays in memory until their first delivery. Above it contents are read back from the journal."),
		Size("queue.segment_size", &c.SegmentSize, 16*mib, 64*kib, gib,
			"Size of a journal segment. Must be four times memory_limit or more."),
		Int("queue.max_segments", &c.MaxSegments, 64, 4, 100_000,
			"How many segments the journal may have. With all of them in use new mail is refused with 452 4.3.1 after add_wait."),
		Int("queue.move_segments", &c.MoveSegments, 16, 2, 100_000,
			"With more segments than this in use, messages in the oldest one move to files of their own, so that one slow message does not keep the journal from being reused."),
		Size("queue.max_waiting", &c.MaxWaiting, 64*mib, mib, 4*gib,
			"How many octets of messages may wait for the journal's disk at once; more wait before they are handed over."),
		Size("queue.min_free", &c.MinFree, 75*mib, 0, 1024*gib,
			"How much space must stay free on the queue's file system. What would leave less is refused at MAIL with 452 4.3.1 (Postfix queue_minfree); what was accepted is delivered. The default is one and a half times smtpd.message_size_limit. 0 takes mail until the disk is full."),
		Int("queue.incoming_limit", &c.IncomingLimit, 100_000, 1, 10_000_000,
			"How many messages may wait in the journal for their first delivery. Above it new mail waits add_wait and is then refused with 451 4.3.0.").Also("in_flow_delay"),
		Duration("queue.add_wait", &c.AddWait, 5*time.Second, 10*time.Millisecond, 5*time.Minute,
			"How long a new message waits for room in the journal before it is refused.").Also("in_flow_delay"),
		Duration("queue.run_delay", &c.RunDelay, 300*time.Second, 100*time.Millisecond, day,
			"Time between two scans of the deferred queue (Postfix queue_run_delay). Messages that are due sooner are known in memory, so it does not delay them.").Also("queue_run_delay"),
		Int("queue.due_limit", &c.DueLimit, 20_000, 100, 10_000_000,
			"How many deferred messages that are due before the next scan are known in memory."),
		Duration("queue.checkpoint_interval", &c.CheckpointInterval, 2*time.Second, 10*time.Millisecond, time.Hour,
			"The longest time between a delivery into the store and the sync that makes it durable there. Until then the journal keeps the message. Shorter means more syncs, longer more work after a crash."),
		Duration("queue.lazy_interval", &c.LazyInterval, 10*time.Millisecond, time.Millisecond, 10*time.Second,
			"How long the mark that a recipient is done waits for another write to travel with. A process killed within it repeats the delivery."),
	}
}
