package imapd

import (
	"fmt"
	"strings"
	"testing"
)

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
		q, err := a.fetchItems(150)
		if err != nil || len(q.items) != c.want {
			t.Errorf("%.60s: %d items, want %d, %v", c.items, len(q.items), c.want, err)
		}
	}
	a := &args{line: []byte("(" + many + "BODY[])")}
	if q, err := a.fetchItems(150); err != nil || !q.seen {
		t.Errorf("the one that sets \\Seen was dropped whole: %v", err)
	}
}
