package web

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path, etag string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for path, mediaType := range map[string]string{
		"/": "text/html", "/index.html": "text/html", "/panel.css": "text/css", "/panel.js": "text/javascript", "/icon.svg": "image/svg+xml",
	} {
		w := get(t, path, "")
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), mediaType) || w.Body.Len() < 100 {
			t.Errorf("%s: %d %s, %d octets", path, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
		if again := get(t, path, w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s again: %d, %d octets", path, again.Code, again.Body.Len())
		}
	}
	for _, path := range []string{"/none", "/static", "/../web.go", "/static/panel.js"} {
		if w := get(t, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestFilesKeepToThePolicy: nothing inline, no other host, no markup made of
// text from the server.
func TestFilesKeepToThePolicy(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\son[a-z]+=|\sstyle=|https?://|innerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage|document\.cookie`)
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		checked := strings.ReplaceAll(string(text), `xmlns="http://www.w3.org/2000/svg"`, "")
		if found := forbidden.FindString(checked); found != "" {
			t.Errorf("%s: %q", name, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestIdsExist: every element that the script asks for is in the page.
func TestIdsExist(t *testing.T) {
	t.Parallel()
	page, script := get(t, "/", "").Body.String(), get(t, "/panel.js", "").Body.String()
	ids := regexp.MustCompile(`\$\("([a-z-]+)"\)`).FindAllStringSubmatch(script, -1)
	if len(ids) < 10 {
		t.Fatalf("only %d ids found", len(ids))
	}
	for _, id := range ids {
		if !strings.Contains(page, `id="`+id[1]+`"`) {
			t.Errorf("the page has no %q", id[1])
		}
	}
}
