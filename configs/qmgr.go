package configs

import "time"

// Qmgr is the section [qmgr].
type Qmgr struct {
	ActiveLimit           int
	MessageRecipientLimit int
	ResolveConcurrency    int
	ResolveTimeout        time.Duration
	MinimalBackoffTime    time.Duration
	MaximalBackoffTime    time.Duration
	QueueLifetime         time.Duration
	BounceQueueLifetime   time.Duration
	DelayWarningTime      time.Duration
	VirtualConcurrency    int
	TransportConcurrency  int
	InitialDestination    int
	DestinationLimit      int
	DestinationRecipients int
	DestinationCohorts    int
	MailboxConcurrency    int
	PositiveFeedback      string
	NegativeFeedback      string
	DestinationRateDelay  time.Duration
	TransportRateDelay    time.Duration
	DeferTransports       []string
	ConfirmDelayCleared   bool
	ClogWarnTime          time.Duration
	FeedbackDebug         bool
	OverQuotaTemporary    bool
	DefaultFilterNexthop  string
	StatusFilter          []string
	EndConcurrency        int
	EndTimeout            time.Duration
}

func (c *Qmgr) params() []Param {
	return []Param{
		Int("qmgr.active_limit", &c.ActiveLimit, 20000, 1, 1_000_000,
			"How many messages may be in the active window at once (Postfix qmgr_message_active_limit). More wait in the queue. One sender domain has at most eight ninths of it, so has one destination, and what one sends to the other has half.").Also("qmgr_message_active_limit"),
		Int("qmgr.message_recipient_limit", &c.MessageRecipientLimit, 20000, 1, 10_000_000,
			"How many recipients the messages in the active window may have together. A message comes in while there is room for one.").Also("qmgr_message_recipient_limit"),
		Int("qmgr.resolve_concurrency", &c.ResolveConcurrency, 4, 1, 256,
			"How many messages may be on their way from the queue into the active window, with a directory lookup per recipient."),
		Duration("qmgr.resolve_timeout", &c.ResolveTimeout, 30*time.Second, time.Second, 10*time.Minute,
			"How long finding the routes of one message may take. Its recipients are deferred after that."),
		Duration("qmgr.minimal_backoff_time", &c.MinimalBackoffTime, 300*time.Second, time.Second, 5*day,
			"The shortest time between two attempts for a deferred message, and how long a dead destination is left alone."),
		Duration("qmgr.maximal_backoff_time", &c.MaximalBackoffTime, 4000*time.Second, time.Second, 5*day,
			"The longest time between two attempts. In between a message waits as long as it is old, so the time doubles."),
		Duration("qmgr.queue_lifetime", &c.QueueLifetime, 5*day, 0, 100*day,
			"How long a message is tried before it goes back to its sender (Postfix maximal_queue_lifetime). Zero tries once."),
		Duration("qmgr.bounce_queue_lifetime", &c.BounceQueueLifetime, 5*day, 0, 100*day,
			"The same for mail from the null sender, which is dropped then because it never gets a report."),
		Duration("qmgr.delay_warning_time", &c.DelayWarningTime, 0, 0, 100*day,
			"After this time a sender is told once that his message waits. Zero never tells."),
		Int("qmgr.virtual_concurrency", &c.VirtualConcurrency, 16, 1, 1000,
			"How many deliveries into local mailboxes may run at once.").Also("virtual_destination_concurrency_limit"),
		Int("qmgr.transport_concurrency", &c.TransportConcurrency, 100, 1, 10_000,
			"How many deliveries of each other transport may run at once (Postfix default_process_limit)."),
		Int("qmgr.initial_destination_concurrency", &c.InitialDestination, 5, 1, 10_000,
			"How many deliveries to one destination run at once at first. Success raises it up to the limit, failure to connect lowers it."),
		Int("qmgr.destination_concurrency_limit", &c.DestinationLimit, 20, 1, 10_000,
			"How many deliveries to one destination may run at once.").Also("default_destination_concurrency_limit", "smtp_destination_concurrency_limit"),
		Int("qmgr.destination_recipient_limit", &c.DestinationRecipients, 50, 1, 1000,
			"How many recipients of one message one delivery may have. More are split into several.").Also("default_destination_recipient_limit", "smtp_destination_recipient_limit"),
		Int("qmgr.destination_failed_cohort_limit", &c.DestinationCohorts, 1, 1, 100,
			"After how many rounds of failures to connect, each as large as the concurrency, a destination counts as dead.").Also("default_destination_concurrency_failed_cohort_limit"),
		Int("qmgr.mailbox_concurrency_limit", &c.MailboxConcurrency, 4, 1, 1000,
			"How many of the deliveries into local mailboxes may wait for one mailbox, so that one that is locked does not stop the others.").Also("local_destination_concurrency_limit"),
		feedback("qmgr.destination_concurrency_positive_feedback", &c.PositiveFeedback, "1",
			"By how much a delivery that finds its destination in order raises the concurrency there.").Also("default_destination_concurrency_positive_feedback"),
		feedback("qmgr.destination_concurrency_negative_feedback", &c.NegativeFeedback, "1",
			"By how much a delivery that does not reach its destination lowers the concurrency there.").Also("default_destination_concurrency_negative_feedback"),
		Duration("qmgr.destination_rate_delay", &c.DestinationRateDelay, 0, 0, day,
			"How long each destination of the transports that are not local is left alone after a delivery. With a delay there is one delivery at once to a destination.").Also("default_destination_rate_delay"),
		Duration("qmgr.transport_rate_delay", &c.TransportRateDelay, 0, 0, day,
			"The time between the beginnings of two deliveries of one transport that is not local, wherever they go.").Also("default_transport_rate_delay"),
		List("qmgr.defer_transports", &c.DeferTransports, nil, "names of transports", nil,
			"Transports whose mail waits until somebody asks for it: postqueue -f, -i or -s, ETRN, a release or requeue. Until then it is deferred with 4.3.2, also the first time.").Also("defer_transports"),
		Bool("qmgr.confirm_delay_cleared", &c.ConfirmDelayCleared, false,
			"Whether a sender who was told that his message waits (delay_warning_time) is told, too, when it was delivered.").Also("confirm_delay_cleared"),
		Duration("qmgr.clog_warn_time", &c.ClogWarnTime, 300*time.Second, 0, day,
			"How long the log is not told again that one destination has more than a quarter of qmgr.active_limit waiting. Zero never tells.").Also("qmgr_clog_warn_time"),
		Bool("qmgr.destination_concurrency_feedback_debug", &c.FeedbackDebug, false,
			"Whether each delivery has a line in the log with the concurrency of its destination, and what brought it there.").Also("destination_concurrency_feedback_debug"),
		Tables("qmgr.default_delivery_status_filter", &c.StatusFilter, nil,
			"Tables that each result of a delivery is looked up in, as \"5.1.1 text\": what they have stands in the log and in reports, and decides whether mail waits or goes back. A success stays one, and a failure a failure.").Also("default_delivery_status_filter"),
		Bool("qmgr.over_quota_temporary", &c.OverQuotaTemporary, false,
			"Whether mail for a full mailbox waits (4.2.2) until queue_lifetime is over. By default it goes back at once (5.2.2).").Also("quota_full_tempfail"),
		String("qmgr.default_filter_nexthop", &c.DefaultFilterNexthop, "", "as transport.nexthop, or empty", nil,
			"Where mail goes by a content filter (smtpd.content_filter, FILTER in a table) that names no nexthop. Empty is the domain of each recipient.").Also("default_filter_nexthop"),
		Int("qmgr.end_concurrency", &c.EndConcurrency, 16, 1, 1000,
			"How many reports and deferred messages may be written at once. They wait for the disk, and the queue syncs for all that wait together."),
		Duration("qmgr.end_timeout", &c.EndTimeout, time.Minute, time.Second, time.Hour,
			"How long the end of one attempt may take: its report and the writing of a deferred message. At a stop all that are left share it; what is not written then is tried again by the next process."),
	}
}
