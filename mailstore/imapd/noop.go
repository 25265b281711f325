package imapd

// runNoop is NOOP (RFC 3501 section 6.1.2): the news of the mailbox come with the
// answer to any command.
func runNoop(s *session, a *args) (reply, error) {
	return reply{text: "NOOP completed"}, a.end()
}
