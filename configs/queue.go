package configs

// Queue is the section [queue].
type Queue struct {
}

func (c *Queue) params() []Param {
	return []Param{}
}
