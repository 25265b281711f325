package volume

import "toastmaster/internal/lockorder"

// The places of the store's locks. The table with what each is for is in the doc.go
// of package mailstore.
type (
	FoldersLock struct{}
	// FoldersDiskLock, UsageDiskLock and ValidityDiskLock are AccountLocks, each inside
	// the lock in memory that is called as it.
	FoldersDiskLock struct{}
	ParentsLock     struct{}
	BoxLock         struct{}
	// FlockLock is at the place of BoxLock, with a key behind that of its box.
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

// Places lists them in their order.
func Places() []lockorder.Place {
	var places []lockorder.Place
	for _, p := range []lockorder.Placed{
		FoldersLock{}, FoldersDiskLock{}, ParentsLock{}, BoxLock{}, FlockLock{}, OrderLock{}, MarksLock{}, SyncLock{},
		UsageLock{}, UsageDiskLock{}, PoolLock{}, ValidityLock{}, ValidityDiskLock{}, InnerLock{},
	} {
		places = append(places, p.Place())
	}
	return places
}

func (FoldersLock) Place() lockorder.Place      { return lockorder.Place{Name: "folders", At: 10} }
func (FoldersDiskLock) Place() lockorder.Place  { return lockorder.Place{Name: "foldersdisk", At: 15} }
func (ParentsLock) Place() lockorder.Place      { return lockorder.Place{Name: "parents", At: 20} }
func (BoxLock) Place() lockorder.Place          { return lockorder.Place{Name: "box", At: 30} }
func (FlockLock) Place() lockorder.Place        { return lockorder.Place{Name: "flock", At: 30} }
func (OrderLock) Place() lockorder.Place        { return lockorder.Place{Name: "order", At: 40} }
func (MarksLock) Place() lockorder.Place        { return lockorder.Place{Name: "marks", At: 50} }
func (SyncLock) Place() lockorder.Place         { return lockorder.Place{Name: "sync", At: 60} }
func (UsageLock) Place() lockorder.Place        { return lockorder.Place{Name: "usage", At: 70} }
func (UsageDiskLock) Place() lockorder.Place    { return lockorder.Place{Name: "usagedisk", At: 75} }
func (PoolLock) Place() lockorder.Place         { return lockorder.Place{Name: "pool", At: 80} }
func (ValidityLock) Place() lockorder.Place     { return lockorder.Place{Name: "validity", At: 90} }
func (ValidityDiskLock) Place() lockorder.Place { return lockorder.Place{Name: "validitydisk", At: 95} }
func (InnerLock) Place() lockorder.Place        { return lockorder.Place{Name: "inner", At: 100} }
