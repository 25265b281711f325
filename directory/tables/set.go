package tables

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// Options are what the tables of a Set stand on.
type Options struct {
	Params configs.TableLimits
	// Dir is where relative names of files and sockets begin; "" is the working
	// directory.
	Dir   string
	Clock clock.Clock // nil is the machine's
	Log   *msglog.Log // nil logs nothing
	// Directory is what tables of type directory ask; nil for none.
	Directory *directory.Directory
	// Aliases bound what an alias may stand for there.
	Aliases directory.Limits
	// KeepCase leaves keys as they are, in files and when they are asked for
	// (postmap -f). Tables of patterns have a flag for it.
	KeepCase bool
	// Dial connects to socketmap and tcp servers; nil is the machine's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// limits are Options.Params, and what a table must know besides.
type limits struct {
	maxFile      int64
	maxLine      int
	maxEntries   int
	maxResult    int
	matchTimeout time.Duration
	keepCase     bool
}

// A Set opens each table once for all who name it. Safe for concurrent use.
type Set struct {
	o      Options
	clock  clock.Clock
	log    *msglog.Log
	limits limits

	mu sync.Mutex
	// guarded by mu
	tables  map[string]Table
	servers map[string]*server
	closers []func()
	files   []string
	closed  bool
	depth   int
}

// NewSet makes a Set in which nothing is open. The caller closes it.
func NewSet(o Options) *Set {
	p := o.Params
	s := &Set{o: o, clock: o.Clock, log: o.Log, tables: map[string]Table{}, servers: map[string]*server{}, limits: limits{
		maxFile: p.MaxFileSize, maxLine: int(p.MaxLine), maxEntries: p.MaxEntries, maxResult: int(p.MaxResult),
		matchTimeout: p.MatchTimeout, keepCase: o.KeepCase,
	}}
	if s.clock == nil {
		s.clock = clock.System{}
	}
	if s.log == nil {
		s.log = msglog.Discard()
	}
	return s
}

// Open opens the table "type:argument", or gives the one that is open. The error, for
// people, says what is wrong with the name or, with file and line, in the file. No server
// is asked yet: one that is down is a lookup's affair.
func (s *Set) Open(ctx context.Context, table string) (Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(ctx, table)
}

// OpenAll opens the tables of a list. On an error item is which of them it is about.
func (s *Set) OpenAll(ctx context.Context, names []string) (maps Maps, item int, err error) {
	for i, n := range names {
		t, err := s.Open(ctx, n)
		if err != nil {
			return nil, i, err
		}
		maps = append(maps, t)
	}
	return maps, 0, nil
}

// maxDepth bounds tables within tables.
const maxDepth = 10

// open is Open, under s.mu.
func (s *Set) open(ctx context.Context, table string) (Table, error) {
	if s.closed {
		return nil, errors.New("the tables are closed")
	}
	table = strings.Trim(table, blanks)
	for {
		rest, is := strings.CutPrefix(table, "proxy:")
		if !is {
			break
		}
		table = rest
	}
	if t := s.tables[table]; t != nil {
		return t, nil
	}
	kind, argument, ok := strings.Cut(table, ":")
	if !ok || kind == "" || argument == "" {
		return nil, fmt.Errorf("%q is no table: expected type:argument", brief(table))
	}
	r, err := typeOf(kind)
	if err != nil {
		return nil, err
	}
	if s.depth++; s.depth > maxDepth {
		s.depth--
		return nil, fmt.Errorf("more than %d tables within one another", maxDepth)
	}
	defer func() { s.depth-- }()
	t, err := r.open(ctx, s, name(table), argument)
	if err != nil {
		var m *Mistake
		if errors.As(err, &m) {
			return nil, err
		}
		return nil, fmt.Errorf("table %s: %w", brief(table), err)
	}
	s.tables[table] = t
	return t, nil
}

// path is where a file of a table lies.
func (s *Set) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(s.o.Dir, file)
}

// Files are the files of the tables that are open.
func (s *Set) Files() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.files)
}

// warn logs what does not keep a table from being used.
func (s *Set) warn(m *Mistake) { s.log.Warn("table", "cause", m) }

// Refresh looks at all files at once, for who has just changed one: at a reload.
func (s *Set) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tables {
		if f, ok := t.(*file); ok {
			f.look.Lock()
			f.refresh()
			f.look.Unlock()
		}
	}
}

// Close ends the connections of all tables. Nobody may ask them any more.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, f := range s.closers {
		f()
	}
	s.closers = nil
	return nil
}
