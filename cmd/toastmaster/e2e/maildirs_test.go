package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"toastmaster/internal/testkit/peers"
)

// usedFile is one message file of a Maildir that others had their hands in.
type usedFile struct {
	path string // below the mailbox
	data []byte // as it lies there
	text string // the mail
	id   string
}

// usedNames are what follows a base name, besides random ones.
var usedNames = []string{
	"", ":", ":2", ":2,", ":2,S", ":2,SFR", ":2,SX", ":2,SS", ":1,S", ":2,FS,extra", ":2,SZ", ":3,F", ":2,ZYX", ":2,aS", ":2,zS", ":2,S:2,T",
	":2,é", ":2, S", ":2,,", ":2,T,2,S", ":2,DFPRST", ":2,TSRPFD", ":2,S,U=1", ":2,\xff", ":2,s", ":2,0S",
	":2,zz ab", ":2,zzab", ":2,a\tb", ":2,a b c", ":2, ", ":2,\x01a\x7f", ":2,aazz", ":2,bab a",
}

// usedMaildir makes up the files of a mailbox. Every text has a word of its own,
// its id.
func usedMaildir(r *rand.Rand) []usedFile {
	var all []usedFile
	add := func(sub, base, rest string) {
		id := fmt.Sprintf("idno%dx", len(all))
		f := usedFile{id: id, text: fmt.Sprintf("From: a@example.net\nSubject: %s\n\n%s\n", id, strings.Repeat(id+" text\n", 1+r.IntN(200)))}
		f.data = []byte(f.text)
		switch r.IntN(6) {
		case 0: // as Dovecot's zlib plugin has it
			f.data = gzipped(f.text)
			base += fmt.Sprintf(",S=%d,W=%d", len(f.text), len(f.text)+strings.Count(f.text, "\n"))
		case 1: // as a script has it
			f.data = gzipped(f.text)
			if !strings.HasPrefix(rest, ":2,") {
				rest = ":2,"
			}
			rest = ":2,Z" + rest[3:]
			sub = "cur"
		case 2:
			base += fmt.Sprintf(",S=%d,W=%d", len(f.text), len(f.text)+strings.Count(f.text, "\n"))
		case 3:
			base += fmt.Sprintf(",S=%d", len(f.text))
		case 4:
			base += ",U=7,x"
		}
		f.path = sub + "/" + base + rest
		all = append(all, f)
	}
	for i, rest := range usedNames {
		add("cur", fmt.Sprintf("10000%05d.M%dP1.host", i, i), rest)
	}
	for i := range 100 {
		sub := "cur"
		if r.IntN(4) == 0 {
			sub = "new"
		}
		base := fmt.Sprintf("%d.%s", 1100000000+i*7+r.IntN(3), someOf(r, "abcXYZ019_-+=,%~é \t&!\xfe", 1+r.IntN(20)))
		rest := ""
		switch r.IntN(5) {
		case 0:
			rest = ":" + someOf(r, "12,S:F", r.IntN(4))
		case 1, 2, 3:
			rest = ":2," + someOf(r, "DFPRSTabcyzZXQ0 \t\x7f,~\xc3", r.IntN(7))
		}
		add(sub, base+strconv.Itoa(i), rest)
	}
	return all
}

func someOf(r *rand.Rand, letters string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

// put writes the files into a mailbox, and odd things between them, with strange
// set.
func put(t *testing.T, root string, all []usedFile, strange bool) {
	t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(t, os.MkdirAll(filepath.Join(root, sub), 0o700))
	}
	for _, f := range all {
		must(t, os.WriteFile(filepath.Join(root, f.path), f.data, 0o600))
	}
	var keywords strings.Builder // all letters have a name, so the next keyword has no letter
	for i := range 26 {
		fmt.Fprintf(&keywords, "%d keyword%d\n", i, i)
	}
	must(t, os.WriteFile(filepath.Join(root, "dovecot-keywords"), []byte(keywords.String()), 0o600))
	if !strange {
		return
	}
	for _, sub := range []string{"cur", "new"} {
		must(t, os.Mkdir(filepath.Join(root, sub, "1.strange.folder:2,S"), 0o700))
		must(t, os.Symlink("nowhere", filepath.Join(root, sub, "1.strange.link:2,S")))
		must(t, os.Symlink("..", filepath.Join(root, sub, "1.strange.up")))
		must(t, syscall.Mkfifo(filepath.Join(root, sub, "1.strange.pipe"), 0o600))
		must(t, os.WriteFile(filepath.Join(root, sub, ".hidden"), []byte("x"), 0o600))
	}
}

const strangeThings = 10

// lies reads what lies in a mailbox: the names with the id of the mail, and how
// many other things.
func lies(t *testing.T, root string) (names map[string]string, texts map[string]string, strange int) {
	t.Helper()
	names, texts = map[string]string{}, map[string]string{}
	id := regexp.MustCompile(`idno\d+x`)
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(root, sub))
		must(t, err)
		for _, e := range entries {
			if !e.Type().IsRegular() || e.Name()[0] == '.' {
				strange++
				continue
			}
			data, err := os.ReadFile(filepath.Join(root, sub, e.Name()))
			must(t, err)
			if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
				z, err := gzip.NewReader(bytes.NewReader(data))
				must(t, err)
				data, err = io.ReadAll(z)
				must(t, err)
			}
			i := id.FindString(string(data))
			if was, twice := names[i]; twice {
				t.Errorf("%s is there twice: %q %q", i, was, e.Name())
			}
			names[i], texts[i] = sub+"/"+e.Name(), string(data)
		}
	}
	return names, texts, strange
}

// shown is what a server shows of a mailbox: flags and text by id.
func shown(t *testing.T, c *imapclient.Client) map[string]string {
	t.Helper()
	section := &imap.FetchItemBodySection{Peek: true}
	header := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true}
	tail := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierText, Partial: &imap.SectionPartial{Offset: 3, Size: 20}, Peek: true}
	all, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, RFC822Size: true, BodyStructure: &imap.FetchItemBodyStructure{},
		BodySection: []*imap.FetchItemBodySection{section, header, tail},
	}).Collect()
	must(t, err)
	out := map[string]string{}
	for _, m := range all {
		text := m.FindBodySection(section)
		if int64(len(text)) != m.RFC822Size || !bytes.HasPrefix(text, m.FindBodySection(header)) {
			t.Errorf("%s: %d octets, size %d, header %q", m.Envelope.Subject, len(text), m.RFC822Size, m.FindBodySection(header))
		}
		_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		if got := m.FindBodySection(tail); !bytes.Equal(got, body[3:min(23, len(body))]) {
			t.Errorf("%s: partial %q", m.Envelope.Subject, got)
		}
		flags := slices.DeleteFunc(m.Flags, func(f imap.Flag) bool { return f == `\Recent` })
		slices.Sort(flags)
		if _, twice := out[m.Envelope.Subject]; twice {
			t.Errorf("%s is shown twice", m.Envelope.Subject)
		}
		out[m.Envelope.Subject] = fmt.Sprint(flags, " ", strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	return out
}

func selected(t *testing.T, c *imapclient.Client, mailbox string) *imap.SelectData {
	t.Helper()
	data, err := c.Select(mailbox, nil).Wait()
	must(t, err)
	return data
}

// TestMaildirsOfOthers runs every operation of IMAP and POP3 on mailboxes with
// all kinds of names, and compares what the server says with what the file
// system then holds, and with what Dovecot shows of the same files.
func TestMaildirsOfOthers(t *testing.T) {
	t.Parallel()
	// The same names each time, others with TOASTMASTER_SEED.
	seed := uint64(1)
	if os.Getenv("TOASTMASTER_SEED") != "" {
		seed = crashSeed(t)
	}
	files := usedMaildir(rand.New(rand.NewPCG(seed, 3)))
	b := serve(t, nil)
	root := b.Maildir(alice)
	folders := []string{"fetch", "store", "replace", "copy", "move", "expunge", "search", "rename", "delete"}
	for _, f := range folders {
		put(t, filepath.Join(root, "."+f), files, true)
	}
	put(t, root, files, true) // INBOX, for POP3
	put(t, b.Maildir(bob), files, true)
	texts := map[string]string{}
	for _, f := range files {
		texts[f.id] = f.text
	}
	c := b.imapLogin(t, alice, alicesWord, nil)
	want := dovecotShows(t, files)
	ops := map[string]func(t *testing.T, dir string){
		"fetch": func(t *testing.T, dir string) {
			sameShown(t, shown(t, c), want)
			sameNames(t, dir, files)
		},
		"store":   func(t *testing.T, dir string) { storeFlags(t, c, dir, files, texts) },
		"replace": func(t *testing.T, dir string) { replaceFlags(t, c, dir, texts) },
		"copy": func(t *testing.T, dir string) {
			must(t, c.Create("copied", nil).Wait())
			data, err := c.Copy(everything, "copied").Wait()
			must(t, err)
			if n, _ := data.DestUIDs.Nums(); len(n) != len(files) {
				t.Errorf("%d copied", len(n))
			}
			sameNames(t, dir, files)
			holds(t, filepath.Join(root, ".copied"), texts, 0)
			selected(t, c, "copied")
			sameShown(t, shown(t, c), want)
		},
		"move": func(t *testing.T, dir string) {
			must(t, c.Create("moved", nil).Wait())
			_, err := c.Move(everything, "moved").Wait()
			must(t, err)
			holds(t, dir, nil, strangeThings)
			holds(t, filepath.Join(root, ".moved"), texts, 0)
			selected(t, c, "moved")
			sameShown(t, shown(t, c), want)
		},
		"expunge": func(t *testing.T, dir string) {
			must(t, c.Store(everything, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}, Silent: true}, nil).Close())
			must(t, c.Expunge().Close())
			holds(t, dir, nil, strangeThings)
			if n := selected(t, c, "expunge").NumMessages; n != 0 {
				t.Errorf("%d are back", n)
			}
		},
		"search": func(t *testing.T, dir string) {
			for _, f := range files {
				found, err := c.Search(&imap.SearchCriteria{Body: []string{f.id + " text"}, Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: f.id}}}, nil).Wait()
				must(t, err)
				if n := found.AllSeqNums(); len(n) != 1 {
					t.Errorf("%s is found in %v", f.id, n)
				}
			}
			sameNames(t, dir, files)
		},
		"rename": func(t *testing.T, _ string) {
			must(t, c.Unselect().Wait())
			must(t, c.Rename("rename", "renamed", nil).Wait())
			holds(t, filepath.Join(root, ".renamed"), texts, strangeThings)
			selected(t, c, "renamed")
			sameShown(t, shown(t, c), want)
		},
		"delete": func(t *testing.T, dir string) {
			must(t, c.Unselect().Wait())
			must(t, c.Delete("delete").Wait())
			if _, err := os.Lstat(dir); !os.IsNotExist(err) {
				t.Errorf("%v", err)
			}
		},
	}
	for _, name := range folders {
		t.Run(name, func(t *testing.T) {
			if n := selected(t, c, name).NumMessages; int(n) != len(files) {
				t.Fatalf("%d messages, want %d", n, len(files))
			}
			ops[name](t, filepath.Join(root, "."+name))
		})
	}
	t.Run("POP3", func(t *testing.T) { popEverything(t, b, files, texts) })
	// After a restart, without the index, everything is as it was.
	must(t, b.Stop())
	for _, dir := range []string{".copied", ".moved", ".renamed", ".store"} {
		for _, name := range []string{"toastmaster.index", "toastmaster.index.log"} {
			if err := os.Remove(filepath.Join(root, dir, name)); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		}
	}
	b.start(t)
	c = b.imapLogin(t, alice, alicesWord, nil)
	for _, name := range []string{"fetch", "copied", "moved", "renamed"} {
		selected(t, c, name)
		sameShown(t, shown(t, c), want)
	}
	selected(t, c, "store")
	for id, now := range shown(t, c) {
		if !strings.Contains(now, "added") {
			t.Errorf("%s lost a keyword: %.80q", id, now)
		}
	}
}

var everything = imap.SeqSet{{Start: 1, Stop: 0}}

// dovecotShows is what Dovecot, with its zlib plugin, shows of the files.
func dovecotShows(t *testing.T, files []usedFile) map[string]string {
	t.Helper()
	peers.Need(t, "dovecot", "dovecot-imapd")
	peers.NeedRoot(t, "Dovecot's master changes users")
	d, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{
		Dir: peers.TempDir(t), Accounts: []peers.Account{{Address: alice, Password: alicesWord}}, Conf: "mail_plugins = zlib\n",
	})
	must(t, err)
	defer d.Stop()
	root := d.Maildir(alice)
	put(t, root, files, false)
	// Dovecot (2.3.19 to 2.4.4) takes memory that it has not written for the
	// keyword with the number 0 when it drops a letter that a name has twice,
	// and then shows the message without that keyword. Number 0 is the keyword
	// it meets first. It is made one here that no other message has.
	const first = "cur/100000000.M1P1.host:2,q"
	must(t, os.WriteFile(filepath.Join(root, first), []byte("From: a@example.net\nSubject: first\n\nfirst text of all\n"), 0o600))
	uid, gid, err := d.MailUser()
	must(t, err)
	must(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	}))
	c, err := imapclient.DialInsecure(d.IMAP(), nil)
	must(t, err)
	defer c.Close()
	must(t, c.Login(alice, alicesWord).Wait())
	selected(t, c, "INBOX")
	all := shown(t, c)
	if !strings.HasPrefix(all["first"], "[keyword16] ") {
		t.Errorf("the first message: %.80q", all["first"])
	}
	delete(all, "first")
	return all
}

func sameShown(t *testing.T, got, want map[string]string) {
	t.Helper()
	for id, text := range want {
		if got[id] != text {
			t.Errorf("%s: have %.80q, Dovecot shows %.80q", id, got[id], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d messages, Dovecot shows %d", len(got), len(want))
	}
}

// sameNames says that no file was renamed.
func sameNames(t *testing.T, dir string, files []usedFile) {
	t.Helper()
	names, _, strange := lies(t, dir)
	for _, f := range files {
		if names[f.id] != f.path {
			t.Errorf("%q is %q now", f.path, names[f.id])
		}
	}
	if len(names) != len(files) || strange != strangeThings {
		t.Errorf("%d files, %d strange things", len(names), strange)
	}
}

// holds says that a mailbox has these texts, each once.
func holds(t *testing.T, dir string, texts map[string]string, strange int) {
	t.Helper()
	names, got, n := lies(t, dir)
	if !maps.Equal(got, texts) && len(got)+len(texts) > 0 {
		t.Errorf("%s has %d messages, want %d: %q", dir, len(got), len(texts), slices.Collect(maps.Values(names)))
	}
	if n != strange {
		t.Errorf("%s has %d strange things, want %d", dir, n, strange)
	}
}

// storeFlags adds a flag and a keyword: they are there, and nothing else went.
func storeFlags(t *testing.T, c *imapclient.Client, dir string, files []usedFile, texts map[string]string) {
	t.Helper()
	before := shown(t, c)
	got, err := c.Store(everything, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged, "added"}}, nil).Collect()
	must(t, err)
	if len(got) != len(files) {
		t.Errorf("%d answers", len(got))
	}
	for id, now := range shown(t, c) {
		if !strings.Contains(now, `\Flagged`) || !strings.Contains(now, "added") {
			t.Errorf("%s: %.60q", id, now)
		}
		_, was, _ := strings.Cut(before[id], "] ")
		if !strings.HasSuffix(now, "] "+was) {
			t.Errorf("%s was changed", id)
		}
	}
	holds(t, dir, texts, strangeThings)
	names, _, _ := lies(t, dir)
	for _, f := range files {
		base, rest := atLastColon(f.path[4:])
		nowBase, now := atLastColon(names[f.id][4:])
		if base != nowBase || !strings.HasPrefix(names[f.id], "cur/") || !strings.HasPrefix(now, "2,") {
			t.Errorf("%q became %q", f.path, names[f.id])
			continue
		}
		letters, extra, more := strings.Cut(strings.TrimPrefix(rest, "2,"), ",")
		if !strings.HasPrefix(rest, "2,") {
			letters, more = "", false
		}
		nowLetters, nowExtra, _ := strings.Cut(now[2:], ",")
		for i := range len(letters) {
			if !strings.Contains(nowLetters, letters[i:i+1]) {
				t.Errorf("%q lost %q: %q", f.path, letters[i], names[f.id])
			}
		}
		if !strings.Contains(nowLetters, "F") || more && nowExtra != extra {
			t.Errorf("%q became %q", f.path, names[f.id])
		}
	}
}

func atLastColon(name string) (before, after string) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// replaceFlags takes all flags away: what is not ours stays in the names.
func replaceFlags(t *testing.T, c *imapclient.Client, dir string, texts map[string]string) {
	t.Helper()
	must(t, c.Store(everything, &imap.StoreFlags{Op: imap.StoreFlagsSet, Flags: []imap.Flag{"only"}, Silent: true}, nil).Close())
	for id, now := range shown(t, c) {
		if !strings.HasPrefix(now, "[only] ") {
			t.Errorf("%s: %.60q", id, now)
		}
	}
	holds(t, dir, texts, strangeThings)
}

// popEverything reads all mail of two mailboxes by POP3, deletes that of one,
// and looks again.
func popEverything(t *testing.T, b *box, files []usedFile, texts map[string]string) {
	t.Helper()
	for _, who := range []struct {
		user, word string
		dele       bool
	}{{alice, alicesWord, false}, {bob, bobsWord, true}} {
		p := popLogin(t, b, who.user, who.word)
		uidl, err := p.text("UIDL")
		must(t, err)
		ids := map[string]bool{}
		for line := range strings.Lines(uidl) {
			_, id, _ := strings.Cut(line, " ")
			ids[id] = true
		}
		list, err := p.text("LIST")
		must(t, err)
		sizes := strings.Split(strings.TrimSuffix(list, "\r\n"), "\r\n")
		if len(ids) != len(files) || len(sizes) != len(files) {
			t.Fatalf("%s: %d unique ids, %d sizes, want %d", who.user, len(ids), len(sizes), len(files))
		}
		got := map[string]string{}
		for n, line := range sizes {
			text, err := p.text(fmt.Sprintf("RETR %d", n+1))
			must(t, err)
			if want := fmt.Sprintf("%d %d", n+1, len(text)); line != want {
				t.Errorf("LIST says %q, RETR has %q", line, want)
			}
			top, err := p.text(fmt.Sprintf("TOP %d 1", n+1))
			must(t, err)
			if !strings.HasPrefix(text, top) || len(top) == 0 {
				t.Errorf("TOP %d: %q", n+1, top)
			}
			_, rest, _ := strings.Cut(text, "Subject: ")
			id, _, _ := strings.Cut(rest, "\r\n")
			got[id] = strings.ReplaceAll(text, "\r\n", "\n")
			if who.dele {
				_, err = p.line(fmt.Sprintf("DELE %d", n+1))
				must(t, err)
			}
		}
		if !maps.Equal(got, texts) {
			t.Errorf("%s: %d texts, want %d", who.user, len(got), len(texts))
		}
		_, err = p.line("QUIT")
		must(t, err)
		left := texts
		if who.dele {
			left = nil
		}
		holds(t, b.Maildir(who.user), left, strangeThings)
		p = popLogin(t, b, who.user, who.word)
		again, err := p.text("UIDL")
		must(t, err)
		if who.dele && again != "" || !who.dele && again != uidl {
			t.Errorf("%s: UIDL again: %.200q", who.user, again)
		}
		_, err = p.line("QUIT")
		must(t, err)
	}
}

func popLogin(t *testing.T, b *box, user, word string) *popConn {
	t.Helper()
	conn, err := net.Dial("tcp", b.POP3())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	p := &popConn{conn, bufio.NewReader(conn)}
	for _, line := range []string{"", "USER " + user, "PASS " + word} {
		_, err := p.line(line)
		must(t, err)
	}
	return p
}
