package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"toastmaster/configs"
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
	dir := filepath.Join("..", "..", "docs", "internals", "decisions")
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

// TestDependenciesAreExplained: docs/internals/dependencies.md lists what go.mod requires
// directly, and nothing else.
func TestDependenciesAreExplained(t *testing.T) {
	root := filepath.Join("..", "..")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require)?\s+([a-z0-9.]+\.[a-z]+/\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		required[m[1]] = true
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "internals", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+/\S+) \| .+ \| .+ \|$`).FindAllStringSubmatch(string(page), -1) {
		if listed[m[1]] {
			t.Errorf("%s is listed twice", m[1])
		}
		listed[m[1]] = true
		if !required[m[1]] {
			t.Errorf("%s is listed, but no direct dependency", m[1])
		}
	}
	for name := range required {
		if !listed[name] {
			t.Errorf("%s is not listed", name)
		}
	}
	if len(required) < 5 {
		t.Fatalf("only %d modules read from go.mod", len(required))
	}
}

// TestDocsNameParameters: a `section.key` in the documentation is a parameter.
func TestDocsNameParameters(t *testing.T) {
	parameters, sections := map[string]bool{}, map[string]bool{}
	for _, p := range configs.Default().Bound() {
		section, _, _ := strings.Cut(p.Name, ".")
		parameters[p.Name], sections[section] = true, true
	}
	name := regexp.MustCompile("`([a-z0-9]+)\\.([a-z0-9_]+)`")
	found := 0
	err := filepath.WalkDir(filepath.Join("..", "..", "docs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range name.FindAllSubmatch(text, -1) {
			if !sections[string(m[1])] {
				continue
			}
			found++
			// The files of an instance are spelt the same way.
			if key := string(m[2]); key == "db" || key == "sock" || key == "pid" {
				continue
			}
			if full := string(m[1]) + "." + string(m[2]); !parameters[full] {
				t.Errorf("%s: %s is no parameter", path, full)
			}
		}
		return err
	})
	if err != nil || found < 5 {
		t.Fatalf("%d parameters found, %v", found, err)
	}
}
