package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// The tables of mail that leaves. ours and theirs is who gets it.
const (
	outgoingHeaders = "/^X-Secret:/ IGNORE\n/^X-Old: (.*)/ REPLACE X-New: $1\n/^X-Pre:/ PREPEND X-Before: yes\n/^X-Strip:/ STRIP it\n/^X-Warn:/ WARN a text\n/^X-Info:/ INFO a text\n/^X-Dunno:/ DUNNO\n/^From:.*replaced/ REPLACE From: Y <alice@example.test>\n/^X-Lines:/ REPLACE X-Lines: a\n/^Content-Language:/ IGNORE\n"
	outgoingMIME    = "/^Content-Description:/ IGNORE\n/^X-Part:/ REPLACE X-Instead: of a part\n"
	outgoingNested  = "/^X-Nested:/ IGNORE\n/^Subject: inner/ PREPEND X-In: nested\n"
	outgoingBodies  = "/^secret (.*)/ REPLACE public $1\n/^drop/ IGNORE\n/^before/ PREPEND inserted\n/^warn/ WARN line\n"
	outgoingGeneric = "alice@example.test Alice.Out@public.example\nbob+known@example.test known@public.example\nbob@example.test bob.out@public.example\n@internal.example gateway@public.example\n@whole.example @public.example\nonce@example.test twice@example.test\ntwice@example.test never@public.example\nold@ours.example carol@remote.example\nold@theirs.example dave@remote.example\n\"a b\"@example.test \"c d\"@public.example\n"
)

var outgoingMail = []string{
	"From: Alice <alice@example.test>\nTo: bob@example.test, x@internal.example, y+z@internal.example,\n \"Q, R\" <once@example.test>, other@far.example\nCc: bob+tag@example.test, bob+known@example.test (comment), user+x@whole.example\nX-From: alice@example.test\nReply-To: alice@example.test\nX-Secret: x\nX-Old: was\n folded\nX-Pre: 1\nX-Strip: 2\nX-Warn: 3\nX-Info: 4\nX-Dunno: 5\nX-Reject: 6\n\nsecret text\ndrop\ndrop me\nbefore\nwarn\nlast\n",
	"From: to be replaced <x@far.example>\nTo: nobody@far.example\nResent-From: alice@example.test\nResent-Date: Fri, 27 Nov 2026 10:00:00 +0000\nResent-Message-ID: <r@example.test>\nResent-To: alice@example.test\nSender: \"a b\"@example.test\nBcc-To: alice@example.test\nErrors-To: alice@example.test\n\nx\n",
	"From: nobody@far.example\nTo:   spaced@far.example ,  other@far.example\nX-Lines: 1\n\nunchanged\n",
	"From: alice@example.test\nMIME-Version: 1.0\nContent-Description: gone\nContent-Language: de\nContent-Type: multipart/mixed; boundary=b\n\nsecret preamble\n--b\nContent-Type: text/plain\nX-Part: 1\nX-Secret: stays\n\nsecret part\n--b\nContent-Type: message/rfc822\n\nFrom: alice@example.test\nSubject: inner\nX-Nested: gone\nX-Secret: stays\n\nsecret nested\n--b--\nsecret epilogue\n",
}

// TestOutgoingMailAsPostfix: with the same tables of smtp_generic_maps, smtp_header_checks and its like a host gets from us what it gets
// from Debian's Postfix, but for where the lines of a field that was written anew end.
func TestOutgoingMailAsPostfix(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "carol@remote.example", "dave@remote.example")
	dir := peers.TempDir(t)
	tables := map[string]string{"headers": outgoingHeaders, "mime": outgoingMIME, "nested": outgoingNested, "bodies": outgoingBodies, "generic": outgoingGeneric}
	for name, text := range tables {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	must(t, os.WriteFile(filepath.Join(dir, "theirs"), []byte(outgoingHeaders+"/^X-Reject:/ REJECT is passed over by Postfix\n"), 0o644))
	table := func(kind, name string) string { return kind + ":" + filepath.Join(dir, name) }
	sender := startPostfix(t, "mx.other.example", fmt.Sprintf("relayhost = [127.0.0.1]:%d\nmyorigin = mx.other.example\nsmtp_generic_maps = %s\nsmtp_header_checks = %s\nsmtp_mime_header_checks = %s\nsmtp_nested_header_checks = %s\nsmtp_body_checks = %s\npropagate_unmatched_extensions = canonical, virtual, generic\nlocal_header_rewrite_clients =\n",
		p.Port25(), table("texthash", "generic"), table("pcre", "theirs"), table("pcre", "mime"), table("pcre", "nested"), table("pcre", "bodies")))
	list := func(kind, name string) string { return fmt.Sprintf("[%q]", table(kind, name)) }
	b := serve(t, map[string]string{
		"smtp.relayhost": fmt.Sprintf(`"[127.0.0.1]:%d"`, p.Port25()), "smtp.generic_maps": list("texthash", "generic"), "smtp.header_checks": list("pcre", "headers"), "smtp.mime_header_checks": list("pcre", "mime"),
		"smtp.nested_header_checks": list("pcre", "nested"), "smtp.body_checks": list("pcre", "bodies"), "cleanup.propagate_unmatched_extensions": `["canonical", "virtual", "generic"]`, "smtpd.local_header_rewrite_clients": "[]",
	})
	for i, text := range outgoingMail {
		message := fmt.Sprintf("X-Case: %d\nDate: Fri, 27 Nov 2026 10:00:00 +0000\nMessage-ID: <%d@example.test>\n%s", i, i, text)
		for server, to := range map[string]string{b.SMTP(): "old@ours.example", sender.SMTP(): "old@theirs.example"} {
			s, err := dialSMTP(server, "EHLO")
			must(t, err)
			_, err = s.send(alice, []string{to}, strings.ReplaceAll(message, "\n", "\r\n"))
			must(t, err)
			s.Close()
		}
	}
	got, want := byCase(t, waitPeerMail(t, p, "carol@remote.example", len(outgoingMail))), byCase(t, waitPeerMail(t, p, "dave@remote.example", len(outgoingMail)))
	for i := range outgoingMail {
		n := fmt.Sprint(i)
		if got[n] != want[n] || got[n] == "" {
			t.Errorf("%d:\n  ours    %q\n  Postfix %q", i, got[n], want[n])
		}
	}
	b.queueEmpty(t)
}

// byCase are messages from X-Case on, with fields on one line each and the sender of the envelope, by its value.
func byCase(t *testing.T, files []string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, f := range files {
		text := readFile(t, f)
		from := ""
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "Return-Path: ") {
				from = line
				break
			}
		}
		_, text, _ = strings.Cut(text, "X-Case: ")
		n, rest, _ := strings.Cut(text, "\n")
		header, body, _ := strings.Cut(rest, "\n\n")
		for _, fold := range []string{"\n\t", "\n "} {
			header = strings.ReplaceAll(header, fold, " ")
		}
		words := strings.Split(header, " ")
		words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
		if n == "2" { // nothing changes in it: each octet counts
			words = []string{header}
		}
		found[n] = from + strings.Join(words, " ") + "\n\n" + body
	}
	return found
}

// TestDirectoryStoreKeepsItsAddresses: what is for other hosts is not for the stores of the agent lmtp, nor for mailboxes here.
func TestDirectoryStoreKeepsItsAddresses(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"smtp.generic_maps": `["static:nobody@public.example"]`, "smtp.header_checks": `["pcre:{ {/^Subject:/ REPLACE Subject: changed} }"]`})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("x@elsewhere.example", []string{alice}, "From: alice@example.test\r\nSubject: kept\r\n\r\nx\r\n")
	must(t, err)
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "\nSubject: kept\n") || !strings.Contains(text, "From: alice@example.test\n") {
		t.Error(text)
	}
}
