package diskcache

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

const header = "toastmaster cache 1\n"

// maxLine bounds a line of the file: a longer one is no entry of ours.
const maxLine = 64 << 10

// Open reads the file. One that is missing is an empty one; one that cannot be read
// is an error, and one that is no cache is, too: it may be anybody's.
func Open(o Options) (*Cache, error) {
	if o.Save == 0 {
		o.Save = 10 * time.Second
	}
	c := &Cache{o: o, entries: map[string]entry{}, changed: map[string]struct{}{}, whole: true}
	if o.Path == "" {
		return c, nil
	}
	f, err := o.FS.OpenFile(o.Path, os.O_RDONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if err := c.load(f); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Path, err)
	}
	return c, nil
}

func (c *Cache) load(r io.Reader) error {
	in := bufio.NewReaderSize(r, maxLine)
	first, err := in.ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case first == header:
	case strings.HasPrefix(header, first):
		return nil // empty, or torn at the very beginning
	default:
		return errors.New("this is no cache of Toastmaster; move it away")
	}
	bad := 0
	for {
		line, err := in.ReadSlice('\n')
		whole := err == nil
		for err == bufio.ErrBufferFull {
			_, err = in.ReadSlice('\n') // longer than any of ours
		}
		if err != nil && err != io.EOF {
			return err
		}
		// Without its end a line may say another time than it did.
		if len(line) > 0 && (!whole || !c.read(string(line))) {
			bad++
		}
		if err == io.EOF {
			break
		}
	}
	if c.whole = bad > 0; c.whole {
		c.o.Log.Warn("lines of a cache cannot be read", "path", c.o.Path, "lines", bad)
	}
	return nil
}

// read takes one line in.
func (c *Cache) read(line string) bool {
	when, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
	quotedKey, quotedValue, ok2 := strings.Cut(rest, "\t")
	until, err := strconv.ParseInt(when, 10, 64)
	key, err2 := strconv.Unquote(quotedKey)
	value, err3 := strconv.Unquote(quotedValue)
	if !ok || !ok2 || errors.Join(err, err2, err3) != nil {
		return false
	}
	c.lines++
	at := time.Unix(until, 0)
	switch {
	case !at.After(c.o.Clock.Now()):
		delete(c.entries, key)
	default:
		if _, known := c.entries[key]; !known && len(c.entries) >= c.o.Limit {
			c.makeRoom()
		}
		c.entries[key] = entry{value, at}
	}
	return true
}

// Run writes until ctx ends, and once more then.
func (c *Cache) Run(ctx context.Context) error {
	if c.o.Path == "" {
		<-ctx.Done()
		return nil
	}
	timer := c.o.Clock.NewTimer(c.o.Save)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			c.save()
			return nil
		case <-timer.C():
			c.save()
			timer.Reset(c.o.Save)
		}
	}
}

// save writes what has changed.
func (c *Cache) save() {
	text, whole := c.pending()
	if text == "" {
		return
	}
	err := c.write(text, whole)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = err != nil
	if err != nil && !c.broken {
		c.o.Log.Error("a cache cannot be written; memory goes on without it", "path", c.o.Path, "cause", err.Error())
	}
	c.broken = err != nil
}

// pending is what is to be written, as a whole file or behind the present one. It drops what does
// not hold any more.
func (c *Cache) pending() (text string, whole bool) {
	now := c.o.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.changed) == 0 && !c.broken {
		return "", false
	}
	var b strings.Builder
	whole = c.whole || c.lines+len(c.changed) > 2*len(c.entries)+1000
	if whole {
		b.WriteString(header)
		for key, e := range c.entries {
			if !e.until.After(now) {
				delete(c.entries, key)
				continue
			}
			e.appendTo(&b, key)
		}
		c.lines = len(c.entries)
	} else {
		for key := range c.changed {
			c.entries[key].appendTo(&b, key) // the zero entry has ended
		}
		c.lines += len(c.changed)
	}
	clear(c.changed)
	return b.String(), whole
}

func (e entry) appendTo(b *strings.Builder, key string) {
	until := int64(0)
	if !e.until.IsZero() {
		until = e.until.Unix()
	}
	fmt.Fprintf(b, "%d\t%s\t%s\n", until, strconv.Quote(key), strconv.Quote(e.value))
}

func (c *Cache) write(text string, whole bool) error {
	path, flags := c.o.Path, os.O_WRONLY|os.O_APPEND
	if whole {
		path, flags = c.o.Path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	}
	f, err := c.o.FS.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Close()); err != nil || !whole {
		return err
	}
	return c.o.FS.Rename(path, c.o.Path)
}
