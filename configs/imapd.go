package configs

// IMAPD is the section [imapd].
type IMAPD struct {
}

func (c *IMAPD) params() []Param {
	return []Param{}
}
