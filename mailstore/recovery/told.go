package recovery

import "toastmaster/internal/journal"

// told is what the records of a journal say about one another: which of them count no more.
type told struct {
	orphan
	last   map[Folder]int // index of the last record Left
	undone map[uint64]bool
	whole  map[uint64]bool  // operations all of whose records are there
	mark   journal.Position // before it all is done
}

func (o orphan) told() told {
	t := told{orphan: o, last: map[Folder]int{}, undone: o.undone(), whole: map[uint64]bool{}}
	for i := range o.records {
		switch r := &o.records[i]; r.Kind {
		case Left:
			if !t.undone[r.operation] {
				t.last[Folder{r.Home, r.Dir}] = i
			}
		case Done:
			t.mark = r.done
		case Copied, Moved, Expunged:
			t.whole[r.operation] = !r.more
		}
	}
	return t
}

// leaves says that a folder left after record i.
func (t *told) leaves(i int, dir string) bool {
	last, ok := t.last[Folder{t.records[i].Home, dir}]
	return ok && last > i
}

// undone are the operations that were taken back, or need nothing more.
func (o *orphan) undone() map[uint64]bool {
	undone := map[uint64]bool{}
	for i := range o.records {
		if o.records[i].Kind == Undone {
			undone[o.records[i].operation] = true
		}
	}
	return undone
}
