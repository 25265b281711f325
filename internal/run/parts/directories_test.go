package parts

import (
	"os"
	"slices"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
)

// TestEveryDirectoryTypeHasARow: what the configuration takes can be opened.
func TestEveryDirectoryTypeHasARow(t *testing.T) {
	t.Parallel()
	var names []string
	for _, row := range directoryTable() {
		names = append(names, row.name)
		c := configs.Default()
		c.Main.DataDir = t.TempDir()
		c.Directory.Type = row.name
		d, closeIt, err := Answers(c)
		if err != nil || d == nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if err := closeIt(); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	if !slices.Equal(names, configs.DirectoryTypes()) {
		t.Errorf("the rows are %q, directory.type takes %q", names, configs.DirectoryTypes())
	}
	c := configs.Default()
	c.Directory.Type = "none"
	if _, _, err := Answers(c); err == nil {
		t.Error("a directory of an unknown type")
	}
}

// TestTheRowOfExtending: the row that docs/internals/extending.md shows is a directory that
// only answers, with the database of the administration beside it.
func TestTheRowOfExtending(t *testing.T) {
	t.Parallel()
	answersOfFlatfile := func(*configs.Config) (directory.Backend, func() error, error) {
		return static.Broken{Outcome: directory.Misconfigured}, func() error { return nil }, nil
	}
	row := []directoryRow{
		{name: "flatfile", answers: answersOfFlatfile, database: sqlite()},
	}[0]
	c := configs.Default()
	c.Main.DataDir = t.TempDir()
	b, _, err := row.answers(c)
	if err != nil || directory.OutcomeOf(ask(t, b)) != directory.Misconfigured {
		t.Errorf("mail asks another directory: %v", err)
	}
	if err := row.create(t.Context(), c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(row.location(c)); err != nil {
		t.Errorf("the administration has no database: %v", err)
	}
	page, err := os.ReadFile("../../../docs/internals/extending.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("directories_test.go")
	if err != nil {
		t.Fatal(err)
	}
	const mark = "{name: \"flatfile\", "
	_, shown, _ := strings.Cut(string(source), mark)
	if shown, _, _ = strings.Cut(shown, "\n"); !strings.Contains(string(page), "`"+mark+shown+"`") {
		t.Errorf("the page does not show %s%s", mark, shown)
	}
}

func ask(t *testing.T, b directory.Backend) error {
	t.Helper()
	_, err := b.Entry(t.Context(), directory.DomainKey("example.test"))
	return err
}
