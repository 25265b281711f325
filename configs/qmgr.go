package configs

// Qmgr is the section [qmgr].
type Qmgr struct {
}

func (c *Qmgr) params() []Param {
	return []Param{}
}
