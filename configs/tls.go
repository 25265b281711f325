package configs

// TLS is the section [tls].
type TLS struct {
}

func (c *TLS) params() []Param {
	return []Param{}
}
