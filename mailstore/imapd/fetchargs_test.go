package imapd

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyCopiesOfAMessage are refused before the first octet; few, many pieces that
// do not overlap, and many items of a small message are not.
func TestManyCopiesOfAMessage(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.IMAPD.MaxFetchCopies = 3 })
	large := "Subject: large\n\n" + strings.Repeat(strings.Repeat("x", 98)+"\n", 10_000)
	h.deliver("alice", plain, large)
	c := h.login("alice", "INBOX")
	overlapping, apart, spelt, headers := make([]string, 20), make([]string, 20), make([]string, 20), make([]string, 200)
	for i := range overlapping {
		overlapping[i] = fmt.Sprintf("BODY.PEEK[]<%d.990000>", i)
		apart[i] = fmt.Sprintf("BODY.PEEK[]<%d.60000>", 60000*i)
		spelt[i] = fmt.Sprintf("BODY.PEEK[HEADER.FIELDS (Subject X%d)]", i)
	}
	for i := range headers {
		headers[i] = fmt.Sprintf("BODY.PEEK[]<%d.9>", i)
	}
	c.refused("FETCH 2 ("+strings.Join(overlapping, " ")+")", "NO [LIMIT] ")
	for seq, items := range map[int][]string{1: headers, 2: apart} {
		if lines := c.ok(fmt.Sprintf("FETCH %d (%s)", seq, strings.Join(items, " "))); len(lines) == 0 {
			t.Errorf("message %d was not sent", seq)
		}
	}
	c.ok("FETCH 2 (" + strings.Join(overlapping[:3], " ") + ")")
	c.ok("FETCH 2 (" + strings.Join(spelt, " ") + ")")
	c.ok("FETCH 1 (" + strings.Join(overlapping, " ") + ")")
	c.ok("NOOP") // the refusal has ended nothing
	h.deliver("alice", "Subject: "+strings.Repeat("very ", 60_000)+"\n\nx\n")
	c.ok("NOOP")
	c.refused("FETCH 3 ("+strings.Join(spelt, " ")+")", "NO [LIMIT] ")
}

// TestIdenticalItemsAreAnsweredOnce: what is asked for again and again in one FETCH
// makes no copies; what only looks alike is another item.
func TestIdenticalItemsAreAnsweredOnce(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("BODY.PEEK[] ", 200)
	var different []string
	for i := range 100 {
		different = append(different, fmt.Sprintf("BODY.PEEK[]<0.%d>", i+1))
	}
	for _, c := range []struct {
		items string
		uid   bool
		want  int
	}{
		{"(" + many + "BODY[])", false, 1},
		{"(UID FLAGS uid flags UID)", true, 2},
		{"(BODY[HEADER.FIELDS (From)] BODY.PEEK[HEADER.FIELDS (From)] BODY[HEADER.FIELDS (FROM)])", false, 2},
		{"(BODY[]<0.10> BODY[]<0.20> BODY[]<0.10> BODY[]<5.10>)", false, 3},
		{"(RFC822 BODY[] RFC822 RFC822.SIZE RFC822.SIZE ENVELOPE ENVELOPE BODY BODYSTRUCTURE BODY)", false, 6},
		{"(" + strings.Join(different, " ") + " " + strings.Join(different, " ") + ")", false, 100},
	} {
		a := &args{line: []byte(c.items), uid: c.uid}
		q := a.fetchItems(150)
		if a.err != nil || len(q.items) != c.want {
			t.Errorf("%.60s: %d items, want %d, %v", c.items, len(q.items), c.want, a.err)
		}
	}
	a := &args{line: []byte("(" + many + "BODY[])")}
	if q := a.fetchItems(150); a.err != nil || !q.seen {
		t.Errorf("the one that sets \\Seen was dropped whole: %v", a.err)
	}
}
