package queue

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// TestMisplacedFilesAreFound: message files in a wrong folder of deferred/ or hold/, or in none of them, are brought to theirs
// by a start, and come up; one that another file is the home of stays where it is; what is not a message's is left alone.
func TestMisplacedFilesAreFound(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	o := options(d)
	clk := clocktest.New(time.Unix(1_700_000_000, 0))
	o.Clock = clk
	q := open(t, o)
	var paths []string
	for range 4 {
		env := add(t, q, "text\n", "a")
		closeItem(t, take(t, q), clk.Now().Add(time.Minute))
		paths = append(paths, q.disk.files.path(Deferred, env.ID))
	}
	closeQueue(t, q)
	move := func(from, to string) {
		t.Helper()
		if err := d.Mkdir(filepath.Dir(to), 0o700); err == nil {
			must(t, d.SyncDir(filepath.Dir(filepath.Dir(to))))
		}
		_, err := vfs.Move(d, from, to)
		must(t, err)
	}
	name := filepath.Base
	move(paths[0], "/queue/deferred/"+name(paths[0]))
	move(paths[1], "/queue/deferred/"+bucketBeside(paths[1])+"/"+name(paths[1]))
	move(paths[2], "/queue/hold/"+name(paths[2]))
	must(t, vfs.Replace(d, "/queue/deferred/"+name(paths[3]), []byte("another file of that name")))
	must(t, vfs.Replace(d, "/queue/deferred/README", []byte("of somebody")))
	for range 2 {
		q = open(t, o)
		counts, err := q.Counts()
		must(t, err)
		if counts[Deferred] != 3 || counts[Hold] != 1 || counts[Corrupt] != 0 {
			t.Errorf("%v", counts)
		}
		for _, file := range []string{"/queue/deferred/" + name(paths[3]), "/queue/deferred/README", "/queue/hold/" + filepath.Base(filepath.Dir(paths[2])) + "/" + name(paths[2])} {
			if _, err := d.Stat(file); err != nil {
				t.Error(err)
			}
		}
		closeQueue(t, q)
	}
	q = open(t, o)
	defer closeQueue(t, q)
	clk.Advance(time.Hour)
	must(t, q.scan(context.Background()))
	for range 3 {
		done(t, take(t, q), EffectFinal)
	}
	nothing(t, q)
}

// bucketBeside is another folder than that of a file.
func bucketBeside(path string) string {
	if filepath.Base(filepath.Dir(path)) == "Z" {
		return "Y"
	}
	return "Z"
}
