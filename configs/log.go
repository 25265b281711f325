package configs

// Log is the section [log].
type Log struct {
}

func (c *Log) params() []Param {
	return []Param{}
}
