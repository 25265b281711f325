package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestManyAliasesFromAFile: a table of Postfix's is read, mistakes are named by line,
// a dry run changes nothing, and all of it can be done again.
func TestManyAliasesFromAFile(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	out, err := b.Run(ctx, "# domains\nmany.test\nother.test many.test\nexample.test\n", "domain", "add", "--from", "-")
	must(t, err)
	if out != "2 domains added, 1 existed, 0 failed\n" {
		t.Errorf("domains: %q", out)
	}
	const count = 20000
	var table strings.Builder
	table.WriteString("# a table\n\n")
	for i := range count {
		fmt.Fprintf(&table, "a%d@many.test\tx%d@elsewhere.example, alice@example.test\n", i, i)
	}
	table.WriteString("loop@many.test\n    loop2@many.test,\n    x@elsewhere.example\nloop2@many.test loop@many.test\nnothing@many.test\nx@nowhere.example y@z.example\n")
	for _, step := range []struct{ args, want string }{
		{"--dry-run", fmt.Sprintf("%d aliases would be added, 0 existed, 3 failed\n", count+1)},
		{"", fmt.Sprintf("%d aliases added, 0 existed, 3 failed\n", count+1)},
		{"", fmt.Sprintf("0 aliases added, %d existed, 3 failed\n", count+1)},
	} {
		args := append([]string{"alias", "add", "--from", "-"}, strings.Fields(step.args)...)
		out, err := b.Run(ctx, table.String(), args...)
		if err == nil || out != step.want {
			t.Errorf("%s: %v %q, want %q", step.args, err, out, step.want)
		}
		for _, want := range []string{
			fmt.Sprintf("-:%d: loop2@many.test: ", count+6), fmt.Sprintf("-:%d: nothing@many.test: no target", count+7),
			fmt.Sprintf("-:%d: x@nowhere.example: ", count+8), "-: 3 lines not added",
		} {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", step.args, err, want)
			}
		}
	}
	out, err = b.Run(ctx, "gone@many.test  here@elsewhere.example\n", "relocated", "add", "--from", "-", "--json")
	must(t, err)
	if !strings.Contains(out, `"added": 1`) {
		t.Errorf("relocated: %s", out)
	}
	out, err = b.Run(ctx, "", "alias", "show", "loop@many.test")
	must(t, err)
	if !strings.Contains(out, "loop2@many.test") || !strings.Contains(out, "x@elsewhere.example") {
		t.Errorf("continued lines: %s", out)
	}
}

// TestManyMailboxesFromAFile: a dry run says what the addition then does, hashes
// nothing and changes nothing; options are for all lines.
func TestManyMailboxesFromAFile(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	_, err := b.Run(ctx, "", "domain", "add", "many.test", "--max-mailboxes", "4")
	must(t, err)
	before, err := b.Run(ctx, "", "mailbox", "list", "--json")
	must(t, err)
	const file = `one@many.test,secret,1M
alice@example.test,other
ONE@many.test,again
bad@many.test,$y$j9T$salt$key
hash@many.test,{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd
quota@many.test,x,much
nowhere@nowhere.example,x
three@many.test,x
four@many.test,x
five@many.test,x
`
	for _, step := range []struct{ args, want string }{
		{"--dry-run", "4 mailboxes would be added, 2 existed, 4 failed\n"},
		{"", "4 mailboxes added, 2 existed, 4 failed\n"},
		{"", "0 mailboxes added, 6 existed, 4 failed\n"},
	} {
		args := append([]string{"mailbox", "add", "--from", "-", "--quota", "2M", "--quota-messages", "7"}, strings.Fields(step.args)...)
		out, err := b.Run(ctx, file, args...)
		if err == nil || out != step.want {
			t.Errorf("%s: %v %q, want %q", step.args, err, out, step.want)
			continue
		}
		for _, want := range []string{"-:4: bad@many.test: ", "-:6: quota@many.test: ", "-:7: nowhere@nowhere.example: ", "-:10: five@many.test: ", "-: 4 lines not added"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", step.args, err, want)
			}
		}
		after, err := b.Run(ctx, "", "mailbox", "list", "--json")
		must(t, err)
		if dry := step.args != ""; dry != (after == before) {
			t.Errorf("%s: %s", step.args, after)
		}
	}
	for address, want := range map[string]string{"one@many.test": "1 MiB", "four@many.test": "2 MiB"} {
		out, err := b.Run(ctx, "", "mailbox", "show", address)
		must(t, err)
		if !strings.Contains(out, want) || !strings.Contains(out, "  7\n") {
			t.Errorf("%s: %s", address, out)
		}
	}
	must(t, b.AddDomain(ctx, "big.test"))
	var big strings.Builder
	for i := range 5001 {
		fmt.Fprintf(&big, "m%d@big.test,x\n", i)
	}
	out, err := b.Run(ctx, big.String()+"M0@big.test,x\n", "mailbox", "add", "--from", "-", "--dry-run")
	if must(t, err); out != "5001 mailboxes would be added, 1 existed, 0 failed\n" {
		t.Errorf("a line that comes again much later: %q", out)
	}
	for _, wrong := range []string{"--dry-run x@many.test", "--from - --password-stdin", "--from - x@many.test"} {
		if out, err := b.Run(ctx, file, append([]string{"mailbox", "add"}, strings.Fields(wrong)...)...); err == nil || !strings.Contains(err.Error(), "status 2") {
			t.Errorf("%s: %v %s", wrong, err, out)
		}
	}
}

// TestLayoutOfAnotherHost: mailboxes of a host that moves in stay in their folders.
func TestLayoutOfAnotherHost(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"store.home": `"%d/%n/Maildir"`})
	ctx := testContext(t)
	root := filepath.Join(b.Data(), "mail")
	for _, home := range []string{"example.test/carol/Maildir", "old/dave"} {
		for _, sub := range []string{"cur", "new", "tmp"} {
			must(t, os.MkdirAll(filepath.Join(root, home, sub), 0o700))
		}
		must(t, os.WriteFile(filepath.Join(root, home, "cur", "1.x:2,S"), []byte("Subject: old\n\nText.\n"), 0o600))
	}
	_, err := b.Run(ctx, crashWord+"\n", "mailbox", "add", "carol@example.test", "--password-stdin")
	if err == nil || !strings.Contains(err.Error(), "--keep-mail") {
		t.Errorf("mail of somebody else is shown: %v", err)
	}
	for _, args := range []string{
		"add carol@example.test --password-stdin --keep-mail",
		"add dave@example.test --password-stdin --keep-mail --home " + root + "/old/%n",
	} {
		_, err := b.Run(ctx, crashWord+"\n", append([]string{"mailbox"}, strings.Fields(args)...)...)
		must(t, err)
	}
	for _, name := range []string{"carol", "dave"} {
		c, err := b.crashLogin(name + "@example.test")
		must(t, err)
		defer c.Close()
		s, err := c.Select("INBOX", nil).Wait()
		must(t, err)
		if s.NumMessages != 1 {
			t.Errorf("%s has %d messages", name, s.NumMessages)
		}
	}
	for _, home := range []string{"../out", "/etc/%n", "%d/carol/Maildir", "%d/carol"} {
		if out, err := b.Run(ctx, crashWord+"\n", "mailbox", "add", "eve@example.test", "--password-stdin", "--keep-mail", "--home", home); err == nil || !strings.Contains(err.Error(), "home: ") {
			t.Errorf("--home %s: %v %s", home, err, out)
		}
	}
}
