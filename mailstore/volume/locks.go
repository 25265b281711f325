package volume

import "toastmaster/internal/lockorder"

// The ranks of the store's locks. The table with what each is for is in the doc.go
// of package mailstore.
type (
	FoldersLock struct{}
	// FoldersDiskLock, UsageDiskLock and ValidityDiskLock are AccountLocks, each inside
	// the lock in memory that is called as it.
	FoldersDiskLock struct{}
	ParentsLock     struct{}
	BoxLock         struct{}
	// FlockLock has the rank of BoxLock, with a key behind that of its box.
	FlockLock        struct{}
	OrderLock        struct{}
	MarksLock        struct{}
	SyncLock         struct{}
	UsageLock        struct{}
	UsageDiskLock    struct{}
	PoolLock         struct{}
	ValidityLock     struct{}
	ValidityDiskLock struct{}
	InnerLock        struct{}
)

// Ranks lists them in their order.
func Ranks() []lockorder.Rank {
	var ranks []lockorder.Rank
	for _, r := range []lockorder.Ranked{
		FoldersLock{}, FoldersDiskLock{}, ParentsLock{}, BoxLock{}, FlockLock{}, OrderLock{}, MarksLock{}, SyncLock{},
		UsageLock{}, UsageDiskLock{}, PoolLock{}, ValidityLock{}, ValidityDiskLock{}, InnerLock{},
	} {
		ranks = append(ranks, r.Rank())
	}
	return ranks
}

func (FoldersLock) Rank() lockorder.Rank      { return lockorder.Rank{Name: "folders", At: 10} }
func (FoldersDiskLock) Rank() lockorder.Rank  { return lockorder.Rank{Name: "foldersdisk", At: 15} }
func (ParentsLock) Rank() lockorder.Rank      { return lockorder.Rank{Name: "parents", At: 20} }
func (BoxLock) Rank() lockorder.Rank          { return lockorder.Rank{Name: "box", At: 30} }
func (FlockLock) Rank() lockorder.Rank        { return lockorder.Rank{Name: "flock", At: 30} }
func (OrderLock) Rank() lockorder.Rank        { return lockorder.Rank{Name: "order", At: 40} }
func (MarksLock) Rank() lockorder.Rank        { return lockorder.Rank{Name: "marks", At: 50} }
func (SyncLock) Rank() lockorder.Rank         { return lockorder.Rank{Name: "sync", At: 60} }
func (UsageLock) Rank() lockorder.Rank        { return lockorder.Rank{Name: "usage", At: 70} }
func (UsageDiskLock) Rank() lockorder.Rank    { return lockorder.Rank{Name: "usagedisk", At: 75} }
func (PoolLock) Rank() lockorder.Rank         { return lockorder.Rank{Name: "pool", At: 80} }
func (ValidityLock) Rank() lockorder.Rank     { return lockorder.Rank{Name: "validity", At: 90} }
func (ValidityDiskLock) Rank() lockorder.Rank { return lockorder.Rank{Name: "validitydisk", At: 95} }
func (InnerLock) Rank() lockorder.Rank        { return lockorder.Rank{Name: "inner", At: 100} }
