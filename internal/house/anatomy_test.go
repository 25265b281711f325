package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAnatomyNamesItsTests: each row of docs/anatomy.md names its package and at least
// one test of the binary, and each test that it names is there.
func TestAnatomyNamesItsTests(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "anatomy.md"))
	if err != nil {
		t.Fatal(err)
	}
	all, binary := testsBelow(t, root), testsBelow(t, filepath.Join(root, "cmd", "toastmaster", "e2e"))
	name := regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || strings.HasPrefix(line, "| daemon ") || strings.HasPrefix(line, "|---") {
			continue
		}
		rows++
		if len(cells) != 7 {
			t.Errorf("%d columns, not 5: %s", len(cells)-2, line)
			continue
		}
		if !strings.Contains(cells[2], "`mta/") && !strings.Contains(cells[2], "`internal/") && !strings.Contains(cells[2], "`cmd/") {
			t.Errorf("no package: %s", line)
		}
		drives := false
		for _, m := range name.FindAllStringSubmatch(cells[4], -1) {
			if !all[m[1]] {
				t.Errorf("there is no %s: %s", m[1], line)
			}
			drives = drives || binary[m[1]]
		}
		if !drives {
			t.Errorf("no test of the binary (cmd/toastmaster/e2e): %s", line)
		}
	}
	if rows == 0 {
		t.Error("no rows")
	}
}

// testsBelow are the names of the tests in a folder and all below it.
func testsBelow(t *testing.T, folder string) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	found := map[string]bool{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
