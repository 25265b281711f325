package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// linkOf is a link of a Go comment: a name, Type.Member or package.Name in brackets. What is in
// capitals throughout is IMAP.
var linkOf = regexp.MustCompile(`(?:^|[\s(,;:])\[\*?((?:[a-z]\w*\.)?[A-Z]\w*[a-z]\w*(?:\.\w+)?)\](?:$|[\s).,;:'])`)

// fileOf is a file of Go that a comment names.
var fileOf = regexp.MustCompile(`(?:^|[\s("'])((?:\w+/)*[a-z0-9]\w*\.go)\b`)

// declared is what the packages of the tree declare: by folder the names, members as
// "Type.Member", and the folders by the name of the package.
type declared struct {
	names   map[string]map[string]bool
	folders map[string][]string
	files   map[string]bool
}

// TestCommentsNameWhatExists: a name in brackets is declared, and a file that is named is
// there: a comment that was true once leads a newcomer astray.
func TestCommentsNameWhatExists(t *testing.T) {
	d := &declared{map[string]map[string]bool{}, map[string][]string{}, map[string]bool{}}
	type source struct {
		path string
		file *ast.File
	}
	var all []source
	walkGo(t, func(name string, text []byte) {
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		d.add(name, f)
		all = append(all, source{name, f})
	})
	links, files := 0, 0
	for _, s := range all {
		for _, group := range s.file.Comments {
			text := group.Text()
			for _, m := range linkOf.FindAllStringSubmatch(text, -1) {
				links++
				if !d.hasName(path.Dir(s.path), m[1]) {
					t.Errorf("%s: [%s] is nothing", s.path, m[1])
				}
			}
			for _, m := range fileOf.FindAllStringSubmatch(text, -1) {
				files++
				if !d.hasFile(path.Dir(s.path), m[1]) {
					t.Errorf("%s: there is no file %s", s.path, m[1])
				}
			}
		}
	}
	if links < 100 || files < 20 {
		t.Errorf("%d links, %d files", links, files)
	}
}

func (d *declared) add(name string, f *ast.File) {
	dir := path.Dir(name)
	d.files[name] = true
	if d.names[dir] == nil {
		d.names[dir] = map[string]bool{}
		d.folders[f.Name.Name] = append(d.folders[f.Name.Name], dir)
	}
	names := d.names[dir]
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				names[decl.Name.Name] = true
			} else {
				names[receiver(decl.Recv.List[0].Type)+"."+decl.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				addSpec(names, spec)
			}
		}
	}
}

func addSpec(names map[string]bool, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			names[n.Name] = true
		}
	case *ast.TypeSpec:
		names[spec.Name.Name] = true
		var fields *ast.FieldList
		switch kind := spec.Type.(type) {
		case *ast.StructType:
			fields = kind.Fields
		case *ast.InterfaceType:
			fields = kind.Methods
		default:
			return
		}
		for _, field := range fields.List {
			for _, n := range field.Names {
				names[spec.Name.Name+"."+n.Name] = true
			}
			if len(field.Names) == 0 { // its members are those of what is embedded
				names[spec.Name.Name+".*"] = true
			}
		}
	}
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// hasName says that a link in a folder leads somewhere. A package that is not ours may have
// anything.
func (d *declared) hasName(dir, name string) bool {
	has := func(dir, name string) bool {
		of, _, member := strings.Cut(name, ".")
		return d.names[dir][name] || member && d.names[dir][of+".*"]
	}
	if 'A' <= name[0] && name[0] <= 'Z' {
		return has(dir, name)
	}
	pkg, name, _ := strings.Cut(name, ".")
	for _, folder := range d.folders[pkg] {
		if has(folder, name) {
			return true
		}
	}
	return len(d.folders[pkg]) == 0
}

// hasFile says that a file is in the folder, below it, below the one above, or at a path
// from the top.
func (d *declared) hasFile(dir, name string) bool {
	for _, from := range []string{"", dir, path.Dir(dir)} {
		if d.files[path.Join(from, name)] {
			return true
		}
	}
	if strings.Contains(name, "/") {
		for file := range d.files {
			if strings.HasSuffix(file, "/"+name) {
				return true
			}
		}
	}
	return false
}
