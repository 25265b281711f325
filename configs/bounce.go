package configs

// Bounce is the section [bounce].
type Bounce struct {
}

func (c *Bounce) params() []Param {
	return []Param{}
}
