package configs

// Store is the section [store].
type Store struct {
}

func (c *Store) params() []Param {
	return []Param{}
}
