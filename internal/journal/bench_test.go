package journal

import (
	"context"
	"sync/atomic"
	"testing"

	"toastmaster/internal/vfs"
)

// BenchmarkAppend writes records of 4 KiB to the real disk.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name    string
		writers int
	}{{"1writer", 1}, {"100writers", 100}} {
		b.Run(c.name, func(b *testing.B) {
			o := options(vfs.OS{})
			o.Dir, o.SegmentSize, o.MaxSegments, o.FullWait = b.TempDir()+"/j", 16<<20, 16, DefaultFullWait
			j, _ := open(b, o, nil)
			defer closeJournal(b, j)
			payload := make([]byte, 4096)
			j.Unpin(mustAppend(b, j, "first"))
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			for range c.writers {
				go func() {
					defer func() { done <- struct{}{} }()
					for left.Add(-1) >= 0 {
						pos, err := j.Append(context.Background(), payload)
						if err != nil {
							b.Errorf("%v %+v", err, j.Usage())
							return
						}
						j.Unpin(pos)
					}
				}()
			}
			for range c.writers {
				<-done
			}
			b.ReportMetric(float64(b.N)/float64(j.Usage().Commits), "records/commit")
		})
	}
}
