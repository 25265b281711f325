package qmgr

// batch is the jobs of one message for one destination of a transport. When one of them has had its turn the rest
// stands at the end again, so a message with one recipient waits for one job of a mailing list with ten thousand, and not
// for two hundred (Postfix preempts for that).
type batch struct {
	transport *transport
	key       string // of the destination
	limit     int    // of its concurrency, 0 for what the transport has
	jobs      []*job
}

// take takes the first job.
func (b *batch) take() *job {
	j := b.jobs[0]
	b.jobs[0] = nil
	b.jobs = b.jobs[1:]
	return j
}

// batches are the jobs of a message by destination, in their order.
func batches(jobs []*job) (all []*batch) {
	type place struct {
		t   *transport
		key string
	}
	known := map[place]*batch{}
	for _, j := range jobs {
		key, limit := j.place()
		b := known[place{j.transport, key}]
		if b == nil {
			b = &batch{transport: j.transport, key: key, limit: limit}
			known[place{j.transport, key}] = b
			all = append(all, b)
		}
		b.jobs = append(b.jobs, j)
	}
	return all
}

// place is the destination of a job, and how many it takes at once, 0 for what the transport says: a mailbox, where the
// transport bounds those and the job has one recipient, else the nexthop. An address has an @, so it is no nexthop.
func (j *job) place() (key string, limit int) {
	if most := j.transport.limits.Load().Mailbox; most > 0 && len(j.recipients) == 1 {
		return j.msg.item.Envelope.Recipients[j.recipients[0]].Address.String(), most
	}
	return j.route.Nexthop, 0
}
