package configs

// SMTPD is the section [smtpd].
type SMTPD struct {
}

func (c *SMTPD) params() []Param {
	return []Param{}
}
