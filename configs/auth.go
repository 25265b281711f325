package configs

// Auth is the section [auth].
type Auth struct {
}

func (c *Auth) params() []Param {
	return []Param{}
}
