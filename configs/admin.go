package configs

// Admin is the section [admin].
type Admin struct {
}

func (c *Admin) params() []Param {
	return []Param{}
}
