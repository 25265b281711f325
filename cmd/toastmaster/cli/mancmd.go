package cli

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"toastmaster/configs"
)

// manSources are the pages of the other programs that the binary acts as. Their
// command lines are those of sendmail(1), which no library describes for us.
//
//go:embed man/*.md
var manSources embed.FS

// newManCommand writes what `make install` installs. The pages are made from
// the commands and the parameters themselves, so that they cannot be stale.
func newManCommand(*Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages below DIR",
		Long: "Writes the manual pages into DIR/man1 and DIR/man5: one for each command, one for the\n" +
			"configuration file, and those of sendmail, mailq, newaliases, postmap,\n" +
			"postqueue, postsuper, postcat and qshape.",
		Args: exactArguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return writeManual(cmd.Root(), args[0]) },
	}
}

func writeManual(root *cobra.Command, dir string) error {
	for _, section := range []string{"man1", "man5"} {
		if err := os.MkdirAll(filepath.Join(dir, section), 0o755); err != nil {
			return err
		}
	}
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "Toastmaster " + root.Version, Manual: "Toastmaster", Date: builtAt()}
	if err := doc.GenManTree(root, header, filepath.Join(dir, "man1")); err != nil {
		return err
	}
	if err := writeProgramPages(dir, root.Version); err != nil {
		return err
	}
	return writeConfigPage(filepath.Join(dir, "man5", "toastmaster.toml.5"), root.Version)
}

// writeProgramPages writes the pages that are written by hand.
func writeProgramPages(dir, version string) error {
	sources, err := fs.Glob(manSources, "man/*.md")
	if err != nil {
		return err
	}
	for _, source := range sources {
		text, err := fs.ReadFile(manSources, source)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(path.Base(source), ".md")
		if err := writePage(filepath.Join(dir, "man1", name), text, version); err != nil {
			return err
		}
	}
	return nil
}

// writeConfigPage writes the parameters as one page.
func writeConfigPage(file, version string) error {
	var text bytes.Buffer
	var parameters bytes.Buffer
	if err := configs.WriteManual(&parameters); err != nil {
		return err
	}
	text.WriteString("# NAME\n\ntoastmaster.toml - the configuration of Toastmaster\n\n# DESCRIPTION\n\n")
	text.Write(bytes.TrimPrefix(parameters.Bytes(), []byte("# Parameters\n\n")))
	text.WriteString("\n# SEE ALSO\n\ntoastmaster(1), toastmaster-config-explain(1), toastmaster-config-check(1)\n")
	return writePage(file, text.Bytes(), version)
}

// writePage renders Markdown as a page of the manual. Its name and section are
// those of the file.
func writePage(file string, text []byte, version string) error {
	base := filepath.Base(file)
	section := strings.TrimPrefix(filepath.Ext(base), ".")
	name := strings.TrimSuffix(base, "."+section)
	date := ""
	if at := builtAt(); at != nil {
		date = at.Format("Jan 2006")
	}
	head := fmt.Sprintf("%% %q %q %q %q %q\n", strings.ToUpper(name), section, date, "Toastmaster "+version, "Toastmaster")
	page := md2man.Render(append([]byte(head), text...))
	// A long run of letters, such as a set of characters, may be broken: troff knows no place in it.
	page = regexp.MustCompile("[A-Za-z0-9]{30}").ReplaceAll(page, []byte(`$0\:`))
	// Lines are not stretched: one with a single long name in it cannot be.
	if at := bytes.Index(page, []byte("\n\n")); at > 0 {
		page = slices.Insert(page, at+1, []byte(".ad l\n")...)
	}
	return os.WriteFile(file, page, 0o644)
}

// builtAt is the time of the commit that the binary was built from, so that the
// same source makes the same pages; of another build it is the present, which a
// nil date means to the library.
func builtAt() *time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, s := range info.Settings {
		if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return &at
		}
	}
	return nil
}
