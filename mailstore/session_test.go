package mailstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/addr"
	"toastmaster/mailstore/volume"
)

// public is an account that others see.
func public(t *testing.T) Account {
	a, err := addr.Parse("public@example.test")
	check(t, err)
	return Account{Address: a, Home: "example.test/public", QuotaBytes: 1 << 20, QuotaMessages: 3}
}

// publicNamespace gives everybody these rights in it.
func publicNamespace(t *testing.T, r Rights) Namespace {
	a := public(t)
	return Namespace{
		Kind: Shared, Prefix: "Public/",
		Accounts: func(context.Context, Principal) ([]Mount, error) { return []Mount{{Account: a}}, nil },
		Rights:   func(context.Context, Principal, Account, string) (Rights, error) { return r, nil },
	}
}

func openSession(t *testing.T, s *Store) *Session {
	t.Helper()
	x, err := s.Session(t.Context(), Principal{Account: alice()})
	check(t, err)
	return x
}

func resolve(t *testing.T, x *Session, name string, need Rights) Mailbox {
	t.Helper()
	m, err := x.Resolve(t.Context(), name, need)
	check(t, err)
	return m
}

// sharedStore opens a store with namespaces, and public's account in it.
func sharedStore(t *testing.T, all ...Namespace) *Store {
	t.Helper()
	o := options(t.TempDir())
	o.Namespaces = all
	s, err := Open(t.Context(), o)
	check(t, err)
	check(t, s.Deliver(t.Context(), public(t), &Delivery{Content: message("shared"), Date: time.Unix(1e9, 0)}))
	return s
}

// TestQuotaRoots: who stores something in a mailbox of others fills their quota.
func TestQuotaRoots(t *testing.T) {
	t.Parallel()
	s := sharedStore(t, publicNamespace(t, AllRights))
	x := openSession(t, s)
	own, theirs := resolve(t, x, "inbox", AllRights), resolve(t, x, "Public/inbox", AllRights)
	if own.Name() != "INBOX" || theirs.Name() != "Public/INBOX" || theirs.Owner().Home != public(t).Home {
		t.Errorf("%q %q %+v", own.Name(), theirs.Name(), theirs.Owner())
	}
	_, _, err := theirs.Append(t.Context(), nil, time.Now(), message("more"))
	check(t, err)
	for i, m := range []Mailbox{own, theirs} {
		q, err := m.QuotaRoot(t.Context())
		check(t, err)
		want := []string{m.Owner().Address.String() + " 0/0", "public@example.test 2/3"}[i]
		if got := fmt.Sprintf("%s %d/%d", q.Name, q.Used.Messages, q.Limits.Messages); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	check(t, x.Close())
	check(t, s.Close())
}

// TestCopiesToOthersAreAllOrNone: a copy that does not fit takes those before it
// back, and the quota of the other account has their room again.
func TestCopiesToOthersAreAllOrNone(t *testing.T) {
	t.Parallel()
	s := sharedStore(t, publicNamespace(t, AllRights))
	for i := range 3 {
		check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message(fmt.Sprint("m", i)), Date: time.Unix(1e9, 0), Flags: []imap.Flag{imap.FlagFlagged, "work"}}))
	}
	x := openSession(t, s)
	theirs := resolve(t, x, "Public/INBOX", RightInsert)
	v, err := resolve(t, x, "INBOX", RightRead).Open(t.Context(), false)
	check(t, err)
	for _, move := range []bool{false, true} {
		do := v.Copy
		if move {
			do = v.Move
		}
		if _, _, err := do(t.Context(), []uint32{1, 2, 3}, theirs); !errors.Is(err, ErrOverQuota) {
			t.Fatalf("%v", err)
		}
		if got := sharedSubjects(t, s); got != "shared" || v.AnyExpunged([]uint32{1, 2, 3}) {
			t.Errorf("left: %s", got)
		}
	}
	if _, _, err := v.Copy(t.Context(), []uint32{9}, theirs); !errors.Is(err, ErrExpunged) {
		t.Errorf("%v", err)
	}
	validity, uids, err := v.Move(t.Context(), []uint32{3, 1}, theirs)
	check(t, err)
	st, err := theirs.Status(t.Context(), false)
	check(t, err)
	if st.UIDValidity != validity || len(uids) != 2 || uids[0] >= uids[1] || sharedSubjects(t, s) != "shared m2 m0" {
		t.Errorf("%d %v %s", validity, uids, sharedSubjects(t, s))
	}
	copied, err := theirs.Open(t.Context(), true)
	check(t, err)
	if m := copied.Message(2); fmt.Sprint(m.Flags) != `[\Flagged work]` || m.Date.Unix() != 1e9 {
		t.Errorf("%+v", m)
	}
	if _, err := v.Update(t.Context(), true); err != nil || v.Len() != 1 {
		t.Errorf("%d left, %v", v.Len(), err)
	}
	check(t, errors.Join(copied.Close(), v.Close(), x.Close(), s.Close()))
}

func sharedSubjects(t *testing.T, s *Store) string {
	t.Helper()
	u, err := s.User(t.Context(), public(t))
	check(t, err)
	v, err := u.Open(t.Context(), "INBOX", true)
	check(t, err)
	var all []string
	for seq := range v.Len() {
		_, rest, _ := strings.Cut(readAllOf(t, v, uint32(seq+1)), "Subject: ")
		subject, _, _ := strings.Cut(rest, "\n")
		all = append(all, subject)
	}
	check(t, errors.Join(v.Close(), u.Close()))
	return strings.Join(all, " ")
}

// TestANamespaceHidesOwnFolders: a folder of one's own with the name of a namespace
// cannot be reached and is not listed; what was subscribed stays.
func TestANamespaceHidesOwnFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	plain := options(root)
	plain.Store.DefaultFolders = nil
	s, err := Open(t.Context(), plain)
	check(t, err)
	u := openUser(t, s)
	for _, name := range []string{"Public", "Public/Mine", "Publications"} {
		check(t, u.Create(t.Context(), name, ""))
		check(t, u.Subscribe(t.Context(), name, true))
	}
	check(t, errors.Join(u.Close(), s.Close()))
	o := options(root)
	o.Namespaces = []Namespace{publicNamespace(t, RightLookup|RightRead)}
	o.Store.DefaultFolders = nil
	s, err = Open(t.Context(), o)
	check(t, err)
	check(t, s.Deliver(t.Context(), public(t), &Delivery{Content: message("shared")}))
	x := openSession(t, s)
	folders, err := x.List(t.Context())
	check(t, err)
	var got []string
	for _, f := range folders {
		got = append(got, fmt.Sprintf("%s %t %t %t", f.Name, f.NoSelect, f.Subscribed, f.HasChildren))
	}
	want := "INBOX false false false,Publications false true false,Public true true true,Public/INBOX false false false,Public/Mine true true false"
	if strings.Join(got, ",") != want {
		t.Errorf("%s", strings.Join(got, ","))
	}
	for _, name := range []string{"Public/Mine", "Public"} {
		m, err := x.Resolve(t.Context(), name, RightLookup)
		if err == nil {
			_, err = m.Status(t.Context(), false)
		}
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, errors.Join(x.Close(), s.Close()))
}

// TestAnAccountMadeAnewIsFoundAgain: the mailboxes of an account that was removed
// under a session are gone, and those of the next one of its name are there.
func TestAnAccountMadeAnewIsFoundAgain(t *testing.T) {
	t.Parallel()
	s := sharedStore(t, publicNamespace(t, RightLookup|RightRead))
	x := openSession(t, s)
	v, err := resolve(t, x, "Public/INBOX", RightRead).Open(t.Context(), true)
	check(t, err)
	check(t, s.RemoveAccount(t.Context(), public(t)))
	if _, err := v.Update(t.Context(), true); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
	check(t, v.Close())
	if _, err := x.Resolve(t.Context(), "Public/INBOX", RightRead); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if there, err := s.HasAccount(public(t)); there || err != nil {
		t.Errorf("a session made the account: %v", err)
	}
	check(t, s.Deliver(t.Context(), public(t), &Delivery{Content: message("anew")}))
	st, err := resolve(t, x, "Public/INBOX", RightRead).Status(t.Context(), false)
	if err != nil || st.Messages != 1 {
		t.Errorf("%+v %v", st, err)
	}
	check(t, errors.Join(x.Close(), s.Close()))
}

// TestATroubledNamespaceHidesNothingElse: what cannot be had of one is left out of
// lists, and an error for who asks for it.
func TestATroubledNamespaceHidesNothingElse(t *testing.T) {
	t.Parallel()
	down := errors.New("directory is down")
	bad := publicNamespace(t, AllRights)
	bad.Prefix, bad.Kind = "Users/", OtherUsers
	bad.Accounts = func(context.Context, Principal) ([]Mount, error) { return nil, down }
	s := sharedStore(t, bad, publicNamespace(t, RightLookup))
	x := openSession(t, s)
	folders, err := x.List(t.Context())
	check(t, err)
	if n := folders[len(folders)-1]; folders[0].Name != "INBOX" || !strings.HasPrefix(n.Name, "Public/") {
		t.Errorf("%+v", folders)
	}
	if _, err := x.Resolve(t.Context(), "Users/bob/INBOX", RightLookup); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	check(t, errors.Join(x.Close(), s.Close()))
}

// TestBadNamespaces are refused when the store is opened.
func TestBadNamespaces(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/", "Public", "INBOX/", "inbox/Public/", "/Public/", "A//B/", "A.B/", "../", "A/../B/"} {
		n := publicNamespace(t, AllRights)
		n.Prefix = prefix
		if _, err := checkNamespaces([]Namespace{n}, '/'); err == nil {
			t.Errorf("%q was taken", prefix)
		}
	}
	n := publicNamespace(t, AllRights)
	personal, blind := n, n
	personal.Kind, blind.Rights = Personal, nil
	for _, all := range [][]Namespace{{n, n}, {personal}, {blind}} {
		if _, err := checkNamespaces(all, '/'); err == nil {
			t.Errorf("%+v", all)
		}
	}
	deep := n
	deep.Prefix = "Public/Deep/"
	all, err := checkNamespaces([]Namespace{n, deep}, '/')
	check(t, err)
	s := &Store{namespaces: all, vol: &volume.Volume{Separator: '/'}}
	for name, want := range map[string]string{
		"Public/Deep/x": "Public/Deep/ x", "Public/Deep": "Public/Deep/ ", "Public/Deeper": "Public/ Deeper", "Public": "Public/ ", "Publi": " Publi", "public/x": " public/x",
	} {
		n, rest := s.namespaceOf(name)
		got := " " + rest
		if n != nil {
			got = n.Prefix + got
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	if s := AllRights.String(); s != rightLetters {
		t.Error(s)
	}
	if s := (RightLookup | RightRead | RightSeen).String(); s != "lrs" {
		t.Error(s)
	}
	for _, c := range []struct {
		have, need Rights
		want       bool
	}{
		{0, 0, true}, {RightRead, RightLookup, false}, {AllRights, RightsFlags, true}, {RightSeen, RightsFlags, true}, {RightInsert, RightsFlags, false},
		{RightExpunge, RightExpunge | RightDeleteMessage, false},
	} {
		if got := c.have.Allow(c.need); got != c.want {
			t.Errorf("%s for %s: %v", c.have, c.need, got)
		}
	}
	flags := []imap.Flag{`\seen`, imap.FlagDeleted, imap.FlagDraft, "work"}
	for r, want := range map[Rights]string{
		RightSeen: `[\seen]`, RightDeleteMessage: `[\Deleted]`, RightWrite: `[\Draft work]`, RightsFlags: fmt.Sprint(flags), RightInsert: "[]",
	} {
		if got := fmt.Sprint(r.storable(flags)); got != want {
			t.Errorf("%s: %s", r, got)
		}
	}
}

// TestFindAccounts: a name below a namespace is one account's or nobody's.
func TestFindAccounts(t *testing.T) {
	t.Parallel()
	for _, sep := range []string{"/", "."} {
		one := []Mount{{Account: Account{Home: "whole"}}}
		many := []Mount{{Below: "bob@example.test", Account: Account{Home: "bob"}}, {Below: "bob@example.test" + sep + "work", Account: Account{Home: "work"}}, {Below: "al", Account: Account{Home: "al"}}}
		for _, c := range []struct {
			mounts []Mount
			rest   string
			want   string
		}{
			{one, "", "whole  true"}, {one, "A/B", "whole A/B true"}, {nil, "A", "  false"}, {nil, "", "  false"},
			{many, "", "  true"}, {many, "bob@example.test", "bob  true"}, {many, "bob@example.test/INBOX", "bob INBOX true"},
			{many, "bob@example.test/work", "work  true"}, {many, "bob@example.test/work/x", "work x true"}, {many, "bob@example.test/works", "bob works true"},
			{many, "bob@example.testx/INBOX", "  false"}, {many, "bob@example.tes", "  false"}, {many, "al/x", "al x true"}, {many, "alice/x", "  false"}, {many, "/bob@example.test", "  false"},
		} {
			at, inner, there := find(c.mounts, strings.ReplaceAll(c.rest, "/", sep), sep)
			home := ""
			if at != nil {
				home = at.Account.Home
			}
			if got := fmt.Sprintln(home, inner, there); got != strings.ReplaceAll(c.want, "/", sep)+"\n" {
				t.Errorf("%q with %q: %q, want %q", c.rest, sep, got, c.want)
			}
		}
	}
}
