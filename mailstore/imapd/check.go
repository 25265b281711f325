package imapd

// runCheck is CHECK (RFC 3501 section 6.4.1). There is nothing that waits for a
// checkpoint: what was answered OK is on disk.
func runCheck(s *session, a *args) (reply, error) {
	return reply{text: "Check completed"}, a.end()
}
