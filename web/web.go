package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
)

//go:embed static
var files embed.FS

// types are the media types of the files. mime.TypeByExtension would ask the
// machine's tables, which differ.
func types(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

type file struct {
	content     []byte
	mediaType   string
	fingerprint string
}

// Handler serves the panel's files; "/" is index.html.
func Handler() http.Handler {
	all := map[string]file{}
	// The files are in the binary: reading them does not fail. If it did, the
	// panel would be missing and its test would say so.
	_ = fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		sum := sha256.Sum256(content)
		all["/"+path.Base(name)] = file{content, types(name), `"` + hex.EncodeToString(sum[:12]) + `"`}
		return err
	})
	all["/"] = all["/index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := all[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.mediaType)
		h.Set("ETag", f.fingerprint)
		h.Set("Cache-Control", "no-cache")
		if r.Header.Get("If-None-Match") == f.fingerprint {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(f.content) // the browser may have gone
	})
}
