package queue

import "toastmaster/internal/lockorder"

// The places of the queue's locks; the table is in doc.go. They stand before those of the
// store, which a checkpoint takes.
type (
	removingLock   struct{}
	messageLock    struct{}
	foldersLock    struct{}
	departuresLock struct{}
	indexLock      struct{}
)

func (removingLock) Place() lockorder.Place   { return lockorder.Place{Name: "ledger.removing", At: 1} }
func (messageLock) Place() lockorder.Place    { return lockorder.Place{Name: "message.mu", At: 2} }
func (foldersLock) Place() lockorder.Place    { return lockorder.Place{Name: "files.mu", At: 3} }
func (departuresLock) Place() lockorder.Place { return lockorder.Place{Name: "ledger.mu", At: 4} }
func (indexLock) Place() lockorder.Place      { return lockorder.Place{Name: "index.mu", At: 5} }

// lockPlaces lists them in their order.
func lockPlaces() []lockorder.Placed {
	return []lockorder.Placed{removingLock{}, messageLock{}, foldersLock{}, departuresLock{}, indexLock{}}
}
