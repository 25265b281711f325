package api

import (
	"errors"
	"testing"

	"toastmaster/admin/model"
)

// FuzzDecodeBulk: any body is read or refused as invalid, and never makes more
// mailboxes than the limit.
func FuzzDecodeBulk(f *testing.F) {
	for _, s := range []string{
		`[{"address":"a@b"},{"address":"c@d","password":"x"}]`, "{\"address\":\"a@b\"}\n{}\n", "[", "[]]", "[1]", "null", "[null]", "{}{}{}", " [ ] ",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		boxes, err := decodeBulk[model.NewMailbox](b)
		var e *model.Error
		if err != nil && (!errors.As(err, &e) || e.Kind != model.Invalid) {
			t.Errorf("%v", err)
		}
		if len(boxes) > MaxBulk {
			t.Errorf("%d mailboxes", len(boxes))
		}
	})
}
