package mailstore

// Gone says whether one of the messages seqs was expunged by another session
// since the last Update. The view still has its number.
func (v *View) Gone(seqs []uint32) bool {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	if !v.mb.dead && v.goneGen == v.mb.goneGen {
		return false
	}
	for _, seq := range seqs {
		if v.live(seq) == nil {
			return true
		}
	}
	return false
}
