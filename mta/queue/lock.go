package queue

import "toastmaster/internal/lockorder"

// The ranks of the queue's locks; the table is in doc.go. They stand before those of the
// store, which a checkpoint takes.
type (
	removingLock   struct{}
	messageLock    struct{}
	foldersLock    struct{}
	departuresLock struct{}
	seatsLock      struct{}
	indexLock      struct{}
)

func (removingLock) Rank() lockorder.Rank   { return lockorder.Rank{Name: "ledger.removing", At: 1} }
func (messageLock) Rank() lockorder.Rank    { return lockorder.Rank{Name: "message.mu", At: 2} }
func (foldersLock) Rank() lockorder.Rank    { return lockorder.Rank{Name: "files.mu", At: 3} }
func (departuresLock) Rank() lockorder.Rank { return lockorder.Rank{Name: "ledger.mu", At: 4} }
func (seatsLock) Rank() lockorder.Rank      { return lockorder.Rank{Name: "budget.mu", At: 5} }
func (indexLock) Rank() lockorder.Rank      { return lockorder.Rank{Name: "index.mu", At: 6} }

// lockRanks lists them in their order.
func lockRanks() []lockorder.Ranked {
	return []lockorder.Ranked{removingLock{}, messageLock{}, foldersLock{}, departuresLock{}, seatsLock{}, indexLock{}}
}
