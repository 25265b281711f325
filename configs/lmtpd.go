package configs

// LMTPD is the section [lmtpd].
type LMTPD struct {
}

func (c *LMTPD) params() []Param {
	return []Param{}
}
