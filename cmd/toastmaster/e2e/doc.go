// Package e2e drives the real toastmaster program from outside, with clients
// and peers that were not written here.
//
// # What it shows
//
//   - clients_*_test.go: smtp-source, swaks, curl, mbsync, fetchmail, Python's
//     smtplib, imaplib and poplib, go-smtp's and go-imap's clients.
//   - crash_test.go: SIGKILL at random moments under load; nothing that was
//     answered 250 is missing, nothing is there twice, nothing expunged comes
//     back. The seed is printed; TOASTMASTER_SEED repeats a run.
//   - fulldisk_test.go: a full disk is 452 4.3.1 before the 250.
//   - maildirs_test.go: every operation of IMAP and POP3 on Maildirs that other
//     programs wrote, compared with the file system and with Dovecot.
//   - nasty_test.go: messages that were made to break readers are stored octet
//     for octet and served, in bounded memory.
//   - relay_test.go: Postfix as the next hop, and as the client.
//
// # How
//
// The program is built once for all tests. Every test has an instance of its
// own, made by `toastmaster init` on free ports, so they run in parallel. A
// client that is not installed is reported and left out; in CI that fails.
//
// # What it does not do
//
// It imports nothing of the program but the test kit.
package e2e
