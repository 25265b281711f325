package configs

// POP3D is the section [pop3d].
type POP3D struct {
}

func (c *POP3D) params() []Param {
	return []Param{}
}
