package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/proc"
)

// startDaemon runs a program of Debian's until the test ends, and waits until it listens.
func startDaemon(t *testing.T, dir, address string, path string, args ...string) {
	t.Helper()
	log := filepath.Join(dir, "daemon.out")
	p, err := proc.Start(proc.Spec{Path: path, Args: args, Dir: dir, Log: log})
	must(t, err)
	t.Cleanup(func() {
		_ = p.Stop(10 * time.Second)
		if t.Failed() {
			t.Logf("%s says:\n%s", path, p.LogTail(4000))
		}
	})
	must(t, proc.WaitPort(testContext(t), address, p))
}

// startSpampd is Debian's spampd, which greets as the host behind it and hands on its commands as they are. It logs to /dev/log, which this host may not have: it
// gets a /dev of its own, and a place for what SpamAssassin writes.
func startSpampd(t *testing.T, listen, next string) {
	t.Helper()
	peers.NeedRoot(t, "spampd, which changes its user,")
	path := peers.Need(t, "spampd", "spampd")
	unshare := peers.Need(t, "unshare", "util-linux")
	dir := peers.TempDir(t)
	must(t, os.WriteFile(filepath.Join(dir, "sa.conf"), []byte("use_bayes 0\nskip_rbl_checks 1\n"), 0o644))
	syslog, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	must(t, err)
	must(t, os.Chmod(filepath.Join(dir, "log"), 0o666))
	read := make(chan struct{})
	go func() {
		defer close(read)
		for b := make([]byte, 8192); ; {
			if _, err := syslog.Read(b); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { syslog.Close(); <-read })
	host, port, err := net.SplitHostPort(listen)
	must(t, err)
	script := `mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/zero c 1 5 && mknod -m 666 /dev/random c 1 8 && mknod -m 666 /dev/urandom c 1 9 && ln -s "$1" /dev/log &&
mount -t tmpfs none /var/cache/spampd && chown nobody /var/cache/spampd && shift && exec "$@"`
	startDaemon(t, dir, listen, unshare, "--mount", "sh", "-c", script, "sh", filepath.Join(dir, "log"), path, "--nodetach", "--host="+host, "--port="+port, "--relayhost="+next, "--children=2",
		"--user=nobody", "--group=nogroup", "--local-only", "--tagall", "--saconfig="+filepath.Join(dir, "sa.conf"), "--pid="+filepath.Join(dir, "pid"))
}

// startAmavis is Debian's amavisd-new without scanners, whose bans of names in attachments are its own.
func startAmavis(t *testing.T, listen, next string) {
	t.Helper()
	peers.NeedRoot(t, "amavisd-new, which changes its user,")
	path := peers.Need(t, "amavisd", "amavisd-new")
	dir := peers.TempDir(t)
	uid, gid := idsOfUser(t, "amavis")
	for _, sub := range []string{"", "tmp", "db", "quarantine"} {
		must(t, os.MkdirAll(filepath.Join(dir, "home", sub), 0o755))
		must(t, os.Chown(filepath.Join(dir, "home", sub), uid, gid))
	}
	_, port, err := net.SplitHostPort(listen)
	must(t, err)
	nextHost, nextPort, err := net.SplitHostPort(next)
	must(t, err)
	conf := filepath.Join(dir, "amavis.conf")
	must(t, os.WriteFile(conf, []byte(strings.NewReplacer("@DIR@", filepath.Join(dir, "home"), "@PORT@", port, "@NEXT@", "smtp:["+nextHost+"]:"+nextPort).Replace(`use strict;
$max_servers = 2;
$daemon_user = $daemon_group = 'amavis';
$myhostname = 'mx.example.test';
$mydomain = 'example.test';
@local_domains_maps = ( [".$mydomain"] );
$MYHOME = '@DIR@';
$TEMPBASE = "$MYHOME/tmp";
$db_home = "$MYHOME/db";
$enable_db = 0;
$enable_zmq = 0;
$QUARANTINEDIR = "$MYHOME/quarantine";
$pid_file = "$MYHOME/amavisd.pid";
$lock_file = "$MYHOME/amavisd.lock";
$inet_socket_bind = '127.0.0.1';
$inet_socket_port = @PORT@;
$forward_method = $notify_method = '@NEXT@';
@bypass_virus_checks_maps = (1);
@bypass_spam_checks_maps = (1);
$banned_filename_re = new_RE( qr'.\.exe$'i );
$final_banned_destiny = D_REJECT;
$do_syslog = 0;
$logfile = '@DIR@/log';
$log_level = 1;
1;
`)), 0o644))
	must(t, os.Chown(conf, 0, 0))
	startDaemon(t, dir, listen, path, "-c", conf, "foreground")
}

// TestFiltersOfDebianHandBack: spampd and amavisd-new behind the queue, as FILTER_README and their own pages have them, on ports that take back what they
// have seen: each message comes back once, with what the filter wrote, and otherwise as it was; what amavis refuses is one report. Both greet as this host.
func TestFiltersOfDebianHandBack(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct {
		start func(t *testing.T, listen, next string)
		mark  string
	}{
		"spampd": {startSpampd, "X-Spam-Checker-Version: SpamAssassin"},
		"amavis": {startAmavis, "(amavis, port "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ports := ownPorts(t)
			filter, back := ports.Addr(24), ports.Addr(25)
			log := filepath.Join(t.TempDir(), "mail.log")
			b := serveListeners(t, map[string]string{
				"smtpd.content_filter": `"scan:` + strings.Replace("["+filter, ":", "]:", 1) + `"`, "smtpd.receive_override_options": `["no_address_mappings"]`,
				"log.format": `"postfix"`, "log.file": quoteTOML(log), "log.flush": `"0s"`, "cleanup.always_bcc": `"archive@example.test"`,
			}, scanTransport+behind(back))
			must(t, b.AddMailbox(testContext(t), "archive@example.test", "secret"))
			must(t, b.AddAlias(testContext(t), "both@example.test", alice, bob))
			f.start(t, filter, back)

			send := func(from, header, body string, to ...string) {
				t.Helper()
				s, err := dialSMTP(b.SMTP(), "EHLO")
				must(t, err)
				defer s.Close()
				_, err = s.send(from, to, "From: <x@sender.example>\r\nMIME-Version: 1.0\r\n"+header+"\r\n\r\n"+strings.ReplaceAll("\r\n"+body, "\r\n.", "\r\n..")[2:])
				must(t, err)
			}
			long := strings.Repeat("0123456789", 90) + "\r\n"
			send("x@sender.example", "Subject: two\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", "Grüße\r\n.\r\n..\r\n\r\n"+long, "both@example.test")
			send("", "Subject: null", "text\r\n", alice)
			for i := range 10 {
				send("x@sender.example", fmt.Sprintf("Subject: m%d", i), "text\r\n", alice, bob)
			}
			mail := headersBySubject(t, b.waitMail(t, alice, 12))
			for subject, text := range mail {
				if strings.Count(text, f.mark) != 1 {
					t.Errorf("%s has no %q, or two: %s", subject, f.mark, text)
				}
			}
			if text := mail["two"]; !strings.HasSuffix(text, "\n\nGrüße\n.\n..\n\n"+strings.TrimSuffix(long, "\r\n")+"\n") {
				t.Errorf("%q", text)
			}
			if !strings.HasPrefix(mail["null"], "Return-Path: <>\n") {
				t.Errorf("%q", mail["null"])
			}
			b.waitMail(t, bob, 11)
			b.waitMail(t, "archive@example.test", 12)

			if name == "amavis" {
				part := "--b\r\nContent-Type: application/octet-stream; name=\"setup.exe\"\r\nContent-Disposition: attachment; filename=\"setup.exe\"\r\n\r\nMZ\r\n--b--\r\n"
				send(bob, "Subject: banned\r\nContent-Type: multipart/mixed; boundary=b", part, alice)
				var report string
				for _, m := range b.waitMail(t, bob, 12) {
					if text := readFile(t, m); strings.Contains(text, "multipart/report") {
						report = text
					}
				}
				for _, want := range []string{"Subject: banned", "Status: 5.7.0", "id=", "BANNED"} {
					if !strings.Contains(report, want) {
						t.Errorf("no %q in the report:\n%s", want, report)
					}
				}
			} else {
				send("x@sender.example", "Subject: gtube", gtube+"\r\n", alice)
				if text := headersBySubject(t, b.waitMail(t, alice, 13))["gtube"]; !strings.Contains(text, "X-Spam-Flag: YES") {
					t.Errorf("%s", text)
				}
			}
			b.queueEmpty(t)
			for line := range strings.Lines(readFile(t, log)) {
				if strings.Contains(line, "status=deferred") || strings.Contains(line, "loops back") {
					t.Error(line)
				}
			}
		})
	}
}
