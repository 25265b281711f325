package service

import "sync/atomic"

// Files are the descriptors that connections may take, of all services
// together. What is kept out of it is for the queue, the store and the admin
// socket, which must go on when strangers hold all they can. A nil *Files has no
// end.
type Files struct{ left atomic.Int64 }

// NewFiles makes one of n descriptors.
func NewFiles(n int64) *Files {
	f := &Files{}
	f.left.Store(n)
	return f
}

// take takes n, or says that there are not so many.
func (f *Files) take(n int) bool {
	if f == nil || n == 0 {
		return true
	}
	if f.left.Add(-int64(n)) >= 0 {
		return true
	}
	f.left.Add(int64(n))
	return false
}

func (f *Files) give(n int) {
	if f != nil {
		f.left.Add(int64(n))
	}
}
