package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameWhatExists follows every link in the documentation that stays in
// the repository, and looks for every file and folder of the code that it
// names.
func TestDocsNameWhatExists(t *testing.T) {
	root := filepath.Join("..", "..")
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	code := regexp.MustCompile("`((?:admin|bench|cmd|configs|directory|internal|mailstore|migrations|mta)/[a-z0-9_/.-]+)`")
	files := 0
	for _, folder := range []string{"README.md", "HISTORY.md", "docs"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".md") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			for _, m := range link.FindAllSubmatch(text, -1) {
				mustExist(t, path, filepath.Join(filepath.Dir(path), string(m[1])))
			}
			for _, m := range code.FindAllSubmatch(text, -1) {
				mustExist(t, path, filepath.Join(root, string(m[1])))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 5 {
		t.Fatalf("only %d files read", files)
	}
}

// TestDecisionsAreNumberedOnce: a number is one decision, and the list has each
// once.
func TestDecisionsAreNumberedOnce(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "decisions")
	list, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "[0-9]*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	numbers := map[string]string{}
	for _, page := range pages {
		name := filepath.Base(page)
		number, _, _ := strings.Cut(name, "-")
		if other := numbers[number]; other != "" {
			t.Errorf("%s and %s have one number", other, name)
		}
		numbers[number] = name
		if n := strings.Count(string(list), "| ["+number+"]("+name+") |"); n != 1 {
			t.Errorf("README.md lists %s %d times", name, n)
		}
		if text, err := os.ReadFile(page); err != nil || !strings.HasPrefix(string(text), "# "+number+" ") {
			t.Errorf("%s does not begin with its number (%v)", name, err)
		}
	}
}

func mustExist(t *testing.T, doc, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("%s: %v", doc, err)
	}
}
