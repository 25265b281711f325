package configs

// Cleanup is the section [cleanup].
type Cleanup struct {
}

func (c *Cleanup) params() []Param {
	return []Param{}
}
