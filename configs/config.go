package configs

// Config is the whole configuration. The zero Config is not valid: use
// [Default] or [Load].
type Config struct {
	// File is where it was read from, "" for Default.
	File string

	bound []Param
	lines map[string]int   // where a parameter was set
	items map[string][]int // where the items of a list stand, 0 for unknown

	Main      Main
	Log       Log
	TLS       TLS
	Directory Directory
	Auth      Auth
	Anvil     Anvil
	Queue     Queue
	SMTPD     SMTPD
	Cleanup   Cleanup
	Qmgr      Qmgr
	SMTP      SMTP
	Bounce    Bounce
	Store     Store
	LMTPD     LMTPD
	IMAPD     IMAPD
	POP3D     POP3D
	Admin     Admin
}

// Default is the configuration of an empty file.
func Default() *Config {
	c := &Config{}
	c.bound = c.declare()
	return c
}

// Bound lists every parameter, bound to c, in the order of the manual.
func (c *Config) Bound() []Param { return c.bound }

// Changed names the parameters that differ between c and other, in the order
// of the manual.
func (c *Config) Changed(other *Config) []string {
	var names []string
	for i, p := range c.bound {
		if p.Value() != other.bound[i].Value() {
			names = append(names, p.Name)
		}
	}
	return names
}

// declare makes the rows, which sets every field to its default.
func (c *Config) declare() []Param {
	var all []Param
	for _, section := range [][]Param{
		c.Main.params(), c.Log.params(), c.TLS.params(), c.Directory.params(), c.Auth.params(), c.Anvil.params(),
		c.Queue.params(), c.SMTPD.params(), c.Cleanup.params(), c.Qmgr.params(), c.SMTP.params(), c.Bounce.params(),
		c.Store.params(), c.LMTPD.params(), c.IMAPD.params(), c.POP3D.params(), c.Admin.params(),
	} {
		all = append(all, section...)
	}
	return all
}
