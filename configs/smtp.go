package configs

// SMTP is the section [smtp].
type SMTP struct {
}

func (c *SMTP) params() []Param {
	return []Param{}
}
