package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// plainConstructors take three things or more, which are no configuration: the rest is what
// is read or written first of all, as in package io.
var plainConstructors = map[string]string{
	"internal/mbox.NewReader":             "a part of a file, as io.NewSectionReader",
	"internal/mime/text.NewReader":        "a stream, as the readers of the standard library",
	"mailstore/volume.OpenRegular":        "os.OpenFile on a vfs.FS",
	"admin/store/storetest.Open":          "for tests",
	"cmd/toastmaster/sendmail.Newaliases": "a command, no constructor",
}

// TestConstructorsHaveOneShape: New(Options), or Open(ctx, Options) where something is
// opened, with the group of parameters from configs inside the Options. Who has Options
// takes nothing beside them. What has no Options takes at most two things, and no group of
// parameters beside another thing: a reader, a writer, a value.
func TestConstructorsHaveOneShape(t *testing.T) {
	seen := 0
	used := map[string]bool{}
	walkGo(t, func(path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "New") && !strings.HasPrefix(fn.Name.Name, "Open") {
				continue
			}
			seen++
			name := path[:strings.LastIndexByte(path, '/')] + "." + fn.Name.Name
			if _, ok := plainConstructors[name]; ok {
				used[name] = true
				continue
			}
			if wrong := wrongShape(fn.Type); wrong != "" {
				t.Errorf("%s: %s %s", path, fn.Name.Name, wrong)
			}
		}
	})
	if seen < 50 {
		t.Errorf("%d constructors", seen)
	}
	for name := range plainConstructors {
		if !used[name] {
			t.Errorf("the exception %s is none any more", name)
		}
	}
}

// wrongShape says what is wrong with a constructor, "" for nothing.
func wrongShape(fn *ast.FuncType) string {
	things, options, group := 0, 0, false
	for _, p := range fn.Params.List {
		switch kind := typeName(p.Type); {
		case kind == "context.Context" || kind == "...":
			continue
		case strings.HasSuffix(kind, "Options"):
			options++
		case strings.HasPrefix(kind, "configs."):
			group = true
		}
		things += max(1, len(p.Names))
	}
	switch {
	case options > 0 && things > 1:
		return "takes something beside its Options"
	case group && things > 1:
		return "takes a group of parameters beside something else: both belong into Options"
	case things > 2:
		return "takes more than two things: they belong into Options"
	}
	return ""
}

// typeName is the name of a type as it is written. A pointer to the whole configuration is
// no group of it.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return x.Name + "." + e.Sel.Name
		}
	case *ast.Ellipsis:
		return "..."
	}
	return ""
}
