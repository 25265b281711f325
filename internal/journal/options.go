package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// Options are what a journal needs. FS, Dir, Clock and Log must be set; a zero
// number means the default given with it.
type Options struct {
	FS vfs.FS
	// Dir is the journal's folder. It belongs to one journal alone.
	Dir string
	// SegmentSize in octets, rounded up to a multiple of 4096 (16 MiB). It
	// bounds the size of a record.
	SegmentSize int64
	// MaxSegments bounds the space on disk (64).
	MaxSegments int
	// MaxWaiting bounds the octets of appends that wait for the disk, and
	// apart from them those of lazy appends (64 MiB).
	MaxWaiting int64
	// LazyInterval is how long a lazy append waits for company (10 ms).
	LazyInterval time.Duration
	// FullWait is how long an append waits for a segment when the log has
	// reached MaxSegments (5 s).
	FullWait time.Duration
	// CheckpointInterval is the longest time between an Unpin and the
	// checkpoint that covers it (2 s).
	CheckpointInterval time.Duration
	// Checkpoint makes durable whatever was done about records that were
	// unpinned before the call. Only after it returned nil their segments are
	// used again. It is never called twice at once. nil: nothing to do.
	Checkpoint func(ctx context.Context) error
	// Corrupt is a folder that gets a copy of each damaged range found at Open,
	// segment-NUMBER-OFFSET. "" for none; it must exist.
	Corrupt string
	// Damaged is told of each damaged range found at Open, after it was
	// logged. May be nil.
	Damaged func(Damage)
	// Replay is told of each record found at Open.
	Replay Replay
	Clock  clock.Clock
	Log    *msglog.Log
}

// Defaults of Options.
const (
	DefaultSegmentSize        = 16 << 20
	DefaultMaxSegments        = 64
	DefaultMaxWaiting         = 64 << 20
	DefaultLazyInterval       = 10 * time.Millisecond
	DefaultFullWait           = 5 * time.Second
	DefaultCheckpointInterval = 2 * time.Second
)

// Bounds of Options.SegmentSize.
const (
	MinSegmentSize = 4 * block
	MaxSegmentSize = 1 << 30
)

func setDefault[T int | int64 | time.Duration](field *T, def T) {
	if *field == 0 {
		*field = def
	}
}

func (o *Options) setDefaults() error {
	setDefault(&o.SegmentSize, DefaultSegmentSize)
	setDefault(&o.MaxSegments, DefaultMaxSegments)
	setDefault(&o.MaxWaiting, DefaultMaxWaiting)
	setDefault(&o.LazyInterval, DefaultLazyInterval)
	setDefault(&o.FullWait, DefaultFullWait)
	setDefault(&o.CheckpointInterval, DefaultCheckpointInterval)
	o.SegmentSize = (o.SegmentSize + block - 1) / block * block
	switch {
	case o.FS == nil || o.Clock == nil || o.Log == nil || o.Dir == "":
		return errors.New("journal: FS, Dir, Clock and Log must be set")
	case o.SegmentSize < MinSegmentSize || o.SegmentSize > MaxSegmentSize:
		return fmt.Errorf("journal: segment size %d is not between %d and %d", o.SegmentSize, MinSegmentSize, MaxSegmentSize)
	case o.MaxSegments < 2:
		return errors.New("journal: at least two segments are needed")
	}
	return nil
}

// Position is where a record lies. The zero Position is none.
type Position struct {
	Segment uint64
	Offset  uint32 // of the record's header in its segment
	Length  uint32 // of the payload
}

// Damage is a part of a segment that could not be read at Open.
type Damage struct {
	File     string
	Segment  uint64 // 0 when the segment's header is lost
	From, To int64  // octets of the file
	Err      error  // a read error, or what is wrong
}

// The errors of this package. A full disk or a full log is a *dsn.Error with
// dsn.SystemFull, any other failure of the disk one with dsn.MailSystem.
var (
	ErrClosed   = errors.New("journal: closed")
	ErrTooLarge = errors.New("journal: record too large or empty")
	ErrNoRecord = errors.New("journal: no such record")
	ErrDamaged  = errors.New("journal: record damaged")
	// ErrFull is wrapped when MaxSegments are in use.
	ErrFull = errors.New("journal: all segments are in use")
)

// diskError gives an error of the disk its status.
func diskError(err error) error {
	if errors.Is(err, ErrFull) || spool.IsFull(err) {
		return dsn.Wrap(dsn.SystemFull, "Insufficient system storage", err)
	}
	return dsn.Wrap(dsn.MailSystem, "Temporary failure of the mail system's storage", err)
}
