package cleanup

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/peers"
)

// virtuals are the tables of the comparison, as main.cf writes them.
const virtuals = "inline:{ {single@v.test=bob@example.test}, {many@v.test=a@x.test, b@x.test, A@x.test c@x.test}, {self@example.test=self@example.test, copy@x.test}, {alice@example.test=bob@example.test}, " +
	"{chain@v.test=chain2@v.test}, {chain2@v.test=chain3@v.test, other@x.test}, {chain3@v.test=bob@example.test}, {p@v.test=q@v.test, p@v.test}, {q@v.test=p@v.test}, {twice@v.test=single@v.test, bob@example.test, many@v.test}, " +
	"{@catch.test=catcher@x.test}, {@whole.test=@other.test}, {@loop.test=box@loop.test}, {exact@loop.test=exact@x.test}, {me@v.test=a@x.test, b@x.test}, {ext+tag@v.test=tagged@x.test}, {ext@v.test=untagged@x.test}, " +
	"{plain@v.test=bob}, {root=admin@x.test}, {named@v.test=Some One <some@x.test> (comment)}, {upper@v.test=Upper@x.test}, {cmd@v.test=|/bin/false}, {file@v.test=/tmp/x}, " +
	"{lit@v.test=x@[192.0.2.1]}, {hop@v.test=end@catch.test}, {copy2@v.test=copy2@v.test, single@v.test}, {quoted@v.test=\"a b\"@x.test} }"

const virtualPatterns = "regexp:{ {/^(.*)@re\\.test$$/ $1@example.test} }"

// expanded are recipients that are expanded, one message each.
func expanded() [][]string {
	var all [][]string
	for _, to := range []string{
		"single@v.test", "SINGLE@V.test", "single+x@v.test", "many@v.test", "many+x@v.test", "self@example.test", "self+x@example.test", "alice@example.test", "alice+x@example.test", "bob@example.test", "chain@v.test", "chain+x@v.test", "p@v.test", "q@v.test",
		"twice@v.test", "any@catch.test", "any+x@catch.test", "any@whole.test", "any+x@whole.test", "any@loop.test", "box@loop.test", "exact@loop.test", "me+tag@v.test", "ext@v.test", "ext+tag@v.test", "ext+other@v.test", "plain@v.test", "plain+x@v.test", "root@mx.test", "root+x@mx.test",
		"named@v.test", "\"a b\"@v.test", "more@v.test", "upper@v.test", "cmd@v.test", "file@v.test", "lit@v.test", "hop@v.test", "copy2@v.test", "quoted@v.test", "quoted+x@v.test", "unknown@v.test", "x@elsewhere.test", "bob@re.test", "bob+x@re.test",
	} {
		all = append(all, []string{to})
	}
	return append(all, []string{"single@v.test", "bob@example.test"}, []string{"many@v.test", "b@x.test", "twice@v.test"}, []string{"p@v.test", "q@v.test"}, []string{"self@example.test", "copy@x.test"})
}

// TestVirtualAliasesArePostfixs: the same recipients stand for the same addresses with Debian's Postfix and with ours.
func TestVirtualAliasesArePostfixs(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	boxes := []peers.Account{{Address: "alice@example.test"}, {Address: "bob@example.test"}, {Address: "self@example.test"}}
	file := filepath.Join(peers.TempDir(t), "virtual")
	if err := os.WriteFile(file, []byte("\"a b\"@v.test space@x.test\nmore@v.test a@x.test,\n  b@x.test\n\tc@x.test\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file = "texthash:" + file
	for name, propagate := range map[string]string{"extensions go along": "virtual", "extensions do not": "canonical"} {
		t.Run(name, func(t *testing.T) {
			p := startPostfixFor(t, boxes, "recipient_delimiter = +\nmyorigin = mx.test\nsmtpd_recipient_restrictions = permit_mynetworks\nsmtpd_reject_unlisted_recipient = no\nvirtual_transport = discard:\ndefault_transport = discard:\n"+
				"virtual_alias_domains =\nvirtual_alias_maps = "+virtuals+" "+file+" "+virtualPatterns+"\npropagate_unmatched_extensions = "+propagate+"\n")
			d, err := static.New(static.Data{Domains: static.Hosted("example.test"), Delimiters: "+",
				Accounts: []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", ""), static.Box("self@example.test", "")}})
			if err != nil {
				t.Fatal(err)
			}
			b := newBed(t, d)
			c := configs.Default()
			c.Main.Hostname = "mx.test"
			c.Cleanup.Rewriting.VirtualAliasMaps, c.Cleanup.Rewriting.PropagateExtensions = []string{virtuals, file, strings.ReplaceAll(virtualPatterns, "$$", "$")}, []string{propagate}
			b.rewriting(c)
			cases := expanded()
			ids := make([]string, len(cases))
			for i, to := range cases {
				reply := sendFrom(t, p.SMTP(), "s@elsewhere.test", to, "Subject: x\n\nx\n")
				ids[i] = reply[strings.LastIndexByte(reply, ' ')+1:]
			}
			for i, to := range cases {
				env, _, err := b.try(b.submission("Subject: x\n\nx\n", to...))
				if err != nil {
					t.Errorf("%s: %v", to, err)
					continue
				}
				var ours []string
				for _, r := range env.Recipients {
					ours = append(ours, r.Address.String())
				}
				slices.Sort(ours)
				if theirs := discardedTo(t, filepath.Join(p.Dir(), "mail.log"), ids[i]); !slices.Equal(ours, theirs) {
					t.Errorf("%s:\n  ours    %q\n  Postfix %q", to, ours, theirs)
				}
			}
		})
	}
}

var discardedLine = regexp.MustCompile(`: to=<(.*?)>, (?:orig_to=<.*?>, )?relay=none`)

// discardedTo waits for the end of a message, and returns who got it, sorted.
func discardedTo(t *testing.T, log, id string) []string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), id+": removed") {
			continue
		}
		var all []string
		for line := range strings.SplitSeq(string(text), "\n") {
			if m := discardedLine.FindStringSubmatch(line); m != nil && strings.Contains(line, id) {
				all = append(all, m[1])
			}
		}
		slices.Sort(all)
		return slices.Compact(all) // Postfix keeps one for each recipient that leads there
	}
	t.Fatalf("Postfix does not end with %s", id)
	return nil
}

// TestOneExpansion: the tables and the aliases of the directory are one list, with one limit; a loop over both is one, and
// concerns nobody else.
func TestOneExpansion(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t)) // 20 addresses, 3 aliases in a row
	c := configs.Default()
	c.Main.Hostname = "mx.test"
	c.Cleanup.Rewriting.VirtualAliasMaps = []string{"inline:{ {list@v.test=two@example.test, one@alias.test}, {bob@example.test=loop@v.test}, {loop@v.test=round@v.test, alice@example.test}, {round@v.test=loop@v.test}, " +
		"{deep1@v.test=deep2@v.test}, {deep2@v.test=deep3@v.test}, {deep3@v.test=one@example.test}, {deep4@v.test=deep2@v.test, deep1@v.test}, {moved@example.test=alice@alias.test}, {alice@alias.test=alice@alias.test}, {away@example.test=away@alias.test}, {broken@v.test=(nobody)}, {crowd@v.test=many@example.test} }", "pipemap:{inline:{ {late@v.test=x} },fail:x}"}
	b.rewriting(c)
	recipients := func(to ...string) (all []string) {
		env, _, err := b.try(b.submission("Subject: x\n\nx\n", to...))
		if err != nil {
			return []string{dsn.From(err).Status.String()}
		}
		for _, r := range env.Recipients {
			text := r.Address.String()
			if r.Refused != nil {
				text += " " + r.Refused.Status.String()
			}
			all = append(all, text)
		}
		return all
	}
	for _, c := range []struct {
		to   []string
		want string
	}{
		{[]string{"list@v.test", "x@elsewhere.test"}, "list@v.test 5.3.5, x@elsewhere.test"}, // over two@, which the directory has, to bob@ and further
		{[]string{"bob@example.test", "alice@example.test"}, "bob@example.test 5.4.6, alice@example.test"},
		{[]string{"away@example.test"}, "far@elsewhere.test"}, // the table has named another address, which the directory has as this one
		{[]string{"deep2@v.test"}, "alice@example.test"},
		{[]string{"deep1@v.test", "alice@example.test"}, "deep1@v.test 5.3.5, alice@example.test"},
		{[]string{"moved@example.test", "alice@example.test"}, "alice@example.test"}, // an alias domain is the real one, once
		{[]string{"crowd@v.test", "alice@example.test"}, "crowd@v.test 5.3.5, alice@example.test"},
		{[]string{"broken@v.test", "alice@example.test"}, "4.3.5"},
		{[]string{"late@v.test", "alice@example.test"}, "4.3.0"},
	} {
		if got := strings.Join(recipients(c.to...), ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.to, got, c.want)
		}
	}
	limits := b.c.o.Addresses.Limits(b.c.o.Params)
	for to, want := range map[string]directory.Verdict{"moved@example.test": directory.Forward, "bob@example.test": directory.Unexpandable, "alice@example.test": directory.Deliver, "list@v.test": directory.Foreign} {
		d := b.c.o.Directory.Decide(t.Context(), address(t, to), directory.Question{Aliases: limits})
		if d.Verdict != want {
			t.Errorf("%s is %s, want %s: %v", to, d.Verdict, want, d.Err)
		}
	}
	if got := fmt.Sprint(recipients("one@example.test")); got != "[alice@example.test]" {
		t.Error(got)
	}
}
