// Package filtertest is a content filter that speaks SMTP, for tests: it hands each message on to the next server as it
// comes, with a field on top, and says what that says, or what a test wants.
package filtertest
