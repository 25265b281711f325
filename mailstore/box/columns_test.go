package box_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/mailstore"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/search"
)

// candidate is the search.Source of a message of a view.
type candidate struct {
	v     *mailstore.View
	seq   uint32
	texts *mailstore.Texts
	m     mime.Message
	asked int // for records
}

func (c *candidate) Info(*search.Info) {}

func (c *candidate) Text(ctx context.Context, of *search.Column) ([]byte, bool, error) {
	if c.texts == nil {
		return nil, false, nil
	}
	return c.texts.Of(ctx, c.seq, of)
}

func (c *candidate) Record(ctx context.Context, whole bool) (*mime.Message, error) {
	c.asked++
	return &c.m, c.v.Record(ctx, c.seq, &c.m, whole)
}

func (c *candidate) Content(ctx context.Context) (envelope.Content, *mime.Message, error) {
	content, err := c.v.Read(ctx, c.seq)
	if err == nil {
		err = c.v.Record(ctx, c.seq, &c.m, false)
	}
	return content, &c.m, err
}

func nothing(int) error { return nil }

// find searches a view, with columns or without; asked is how many records it took.
func find(t testing.TB, v *mailstore.View, k *search.Key, columns bool) (found []uint32, asked int) {
	t.Helper()
	p := search.New(k, search.Limits{Octets: 1 << 40, Tests: 1 << 40, Step: nothing, Now: time.Now()})
	c := &candidate{v: v}
	if columns {
		c.texts = v.Texts(nothing)
	}
	for c.seq = 1; c.seq <= uint32(v.Len()); c.seq++ {
		ok, err := p.Match(t.Context(), c)
		if err != nil {
			t.Error(err)
			return nil, 0
		}
		if ok {
			found = append(found, c.seq)
		}
	}
	return found, c.asked
}

// numbered is message i: its subject and a list have the number, every third has a
// field that no record keeps.
func numbered(i int) envelope.Memory {
	extra := ""
	if i%3 == 0 {
		extra = fmt.Sprintf("X-Mailer: mailer %d\n", i)
	}
	return envelope.Memory(fmt.Sprintf("From: \"Sender %d\" <a%d@example.test>\nSubject: =?utf-8?q?N=C3=BCmber_%d?=\nList-Id: <list%d.example.test>\n%s\nbody\n", i, i, i, i%7, extra))
}

func deliverNumbered(t testing.TB, s *mailstore.Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		check(t, s.Deliver(t.Context(), alice(), &mailstore.Delivery{Content: numbered(i)}))
	}
}

func keys() []*search.Key {
	return []*search.Key{
		search.FieldWords(search.Subject, "n\u00fcMBER 7"), search.FieldWords(search.From, "sender 11"), search.FieldWords(search.Cc, "x"),
		search.HeaderWords("List-ID", "list3"), search.HeaderWords("x-mailer", "mailer 9"), search.HeaderWords("X-Mailer", ""),
		search.HeaderWords("References", ""), search.And(search.HeaderWords("list-id", "list1"), search.FieldWords(search.Subject, "1")),
	}
}

// same wants a search to find the same with columns and without.
func same(t testing.TB, v *mailstore.View, when string) {
	t.Helper()
	for i, k := range keys() {
		with, _ := find(t, v, k, true)
		without, _ := find(t, v, k, false)
		if !slices.Equal(with, without) {
			t.Errorf("%s, key %d: %v with columns, %v without", when, i, with, without)
		}
	}
}

// TestColumnsFindTheSame whatever happens to the mailbox meanwhile, and save the
// records from the second search on.
func TestColumnsFindTheSame(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, u := open(t, options(root))
	deliverNumbered(t, s, 0, 200)
	v, other := inbox(t, u), inbox(t, u)
	update := func(v *mailstore.View) {
		t.Helper()
		_, err := v.Update(t.Context(), true)
		check(t, err)
	}
	same(t, v, "at first")
	subject := keys()[0]
	if found, asked := find(t, other, subject, true); asked > 0 || len(found) == 0 {
		t.Errorf("the second search of another session reads %d records and finds %d", asked, len(found))
	}
	deliverNumbered(t, s, 200, 300)
	same(t, v, "with mail that is not shown yet")
	update(v)
	same(t, v, "with new mail")
	if _, asked := find(t, v, subject, true); asked > 0 {
		t.Errorf("%d records are read after new mail", asked)
	}
	check(t, other.Expunge(t.Context(), []uint32{8, 72, 150}))
	check(t, v.Expunge(t.Context(), []uint32{1}))
	update(v)
	same(t, v, "after an expunge")
	update(other)
	same(t, other, "after an expunge of another")
	var most []uint32
	for seq := uint32(1); seq < 250; seq++ {
		most = append(most, seq)
	}
	check(t, other.Expunge(t.Context(), most))
	update(other)
	update(v)
	deliverNumbered(t, s, 300, 400)
	update(v)
	same(t, v, "with few of many left")

	// Another program changes a message: a search may find what it was until somebody
	// reads it.
	c, err := v.Read(t.Context(), 20)
	check(t, err)
	content := make([]byte, c.Size())
	_, err = c.ReadAt(content, 0)
	check(t, err)
	check(t, c.Close())
	files, err := filepath.Glob(filepath.Join(home(root), "new", "*"))
	check(t, err)
	changed := false
	for _, name := range files {
		if b, _ := os.ReadFile(name); string(b) == string(content) {
			check(t, os.WriteFile(name, append([]byte("List-Id: <list3 of another program>\n"), b...), 0o600))
			changed = true
		}
	}
	if !changed {
		t.Fatal("no file was changed")
	}
	c, err = v.Read(t.Context(), 20)
	check(t, err)
	check(t, c.Close())
	same(t, v, "after a change by another program")
	if found, _ := find(t, v, search.HeaderWords("List-Id", "of another program"), true); !slices.Equal(found, []uint32{20}) {
		t.Errorf("what another program wrote is found in %v", found)
	}
	check(t, v.Close())
}

// TestAnExpungedMessageIsNotFoundInMemory: a search that meets one says so, with
// columns too.
func TestAnExpungedMessageIsNotFoundInMemory(t *testing.T) {
	t.Parallel()
	s, u := open(t, options(t.TempDir()))
	deliverNumbered(t, s, 0, 100)
	v, other := inbox(t, u), inbox(t, u)
	find(t, v, keys()[0], true)
	check(t, other.Expunge(t.Context(), []uint32{50}))
	p := search.New(keys()[0], search.Limits{Octets: 1 << 40, Tests: 1 << 40, Step: nothing})
	_, err := p.Match(t.Context(), &candidate{v: v, seq: 50, texts: v.Texts(nothing)})
	if err != mailstore.ErrExpunged {
		t.Errorf("%v", err)
	}
}

// TestColumnsHaveABound: what is too large for it is searched without, and those
// used last stay.
func TestColumnsHaveABound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit int64
		kept  int
	}{{0, 0}, {2000, 0}, {9000, 1}, {1 << 20, 5}} {
		o := options(t.TempDir())
		o.Store.SearchMemory = c.limit
		s, u := open(t, o)
		deliverNumbered(t, s, 0, 200)
		v := inbox(t, u)
		for range 2 {
			same(t, v, fmt.Sprint(c.limit))
			n, cost := box.MemoryOf(v).Columns()
			if n < c.kept || cost > c.limit || c.kept == 0 && n > 2*len(keys()) {
				t.Errorf("limit %d: %d columns of %d octets", c.limit, n, cost)
			}
		}
	}
}

// TestColumnsGoWithTheirMailbox out of memory.
func TestColumnsGoWithTheirMailbox(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Store.OpenMailboxes = 1
	s, u := open(t, o)
	deliverNumbered(t, s, 0, 100)
	v, err := u.Open(t.Context(), "INBOX", false)
	check(t, err)
	find(t, v, keys()[0], true)
	memory := box.MemoryOf(v)
	if n, _ := memory.Columns(); n != 1 {
		t.Fatalf("%d columns", n)
	}
	check(t, v.Close())
	for _, name := range []string{"A", "B"} {
		check(t, u.Create(t.Context(), name, ""))
		_, err := u.Status(t.Context(), name)
		check(t, err)
	}
	if n, cost := memory.Columns(); n != 0 || cost != 0 {
		t.Errorf("%d columns of %d octets stay", n, cost)
	}
}

// TestManySearchAtOnce, while mail comes and goes.
func TestManySearchAtOnce(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Store.SearchMemory = 12000
	s, u := open(t, o)
	deliverNumbered(t, s, 0, 150)
	var all sync.WaitGroup
	for range 4 {
		v := inbox(t, u)
		all.Go(func() {
			for i := range 20 {
				if found, _ := find(t, v, search.FieldWords(search.Subject, "mber 1"), true); len(found) == 0 || !strings.HasPrefix(fmt.Sprint(found), "[2") {
					t.Errorf("%v", found)
				}
				if i%4 == 0 {
					find(t, v, search.HeaderWords("List-Id", "list2"), true)
				}
				if _, err := v.Update(t.Context(), true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() { deliverNumbered(t, s, 150, 300) })
	all.Wait()
}
