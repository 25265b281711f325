package configs

// Directory is the section [directory].
type Directory struct {
}

func (c *Directory) params() []Param {
	return []Param{}
}
