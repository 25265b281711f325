package policy

import (
	"slices"
	"testing"

	"toastmaster/configs"
)

// TestExplainFindsEachRestriction: config explain finds the list, or the parameter, of each
// restriction by its name.
func TestExplainFindsEachRestriction(t *testing.T) {
	t.Parallel()
	names := []string{warnIfReject}
	for _, r := range rows() {
		names = append(names, r.name)
	}
	for _, r := range arguedRows() {
		names = append(names, r.name)
	}
	for _, name := range names {
		found := configs.Find([]string{name})
		if !slices.ContainsFunc(found, func(p configs.Param) bool { return slices.Contains(p.Names, name) }) {
			t.Errorf("config explain %s finds none of %d parameters by that name", name, len(found))
		}
	}
}
