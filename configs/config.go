package configs

import (
	"slices"
	"strings"
)

// Config is the whole configuration. The zero Config is not valid: use
// [Default] or [Load].
type Config struct {
	// File is where it was read from, "" for Default.
	File string

	bound []Param
	lines map[string]int   // where a parameter was set
	items map[string][]int // where the items of a list stand, 0 for unknown

	Main       Main
	Log        Log
	TLS        TLS
	Directory  Directory
	Auth       Auth
	Anvil      Anvil
	DNS        DNS
	Queue      Queue
	Postscreen Postscreen
	SMTPD      SMTPD
	Cleanup    Cleanup
	Rewrite    Rewrite
	Milter     Milter
	Qmgr       Qmgr
	SMTP       SMTP
	Bounce     Bounce
	Store      Store
	LMTPD      LMTPD
	IMAPD      IMAPD
	POP3D      POP3D
	Admin      Admin
	Lookup     TableLimits
	Proxymap   Proxymap
	Verify     Verify
	Master     Master
	Local      Local
	Flush      Flush
	Pickup     Pickup
	QMQPD      QMQPD
	// Tables are the tables [[transport]]; see Transports.
	Tables []*Transport
	// Classes are the tables [[restriction_class]].
	Classes []*RestrictionClass
	// SMTPDListeners are the tables [[listener]].
	SMTPDListeners []*Listener
	// Spawns are the tables [[spawn]].
	Spawns []*Spawn
}

// Default is the configuration of an empty file.
func Default() *Config {
	c := &Config{}
	c.bound = c.declare()
	return c
}

// Bound lists every parameter, bound to c, in the order of the manual.
func (c *Config) Bound() []Param { return c.bound }

// declared are the parameters of an empty file, and those of the tables that it could
// have.
func declared() []Param {
	return slices.Concat(Default().Bound(), (&Transport{}).params(), (&RestrictionClass{}).params(), (&Listener{}).own(), (&Spawn{}).params())
}

// newTable adds a table [[section]] and returns its parameters; none for a section that
// has no tables.
func (c *Config) newTable(section string) []Param {
	switch section {
	case "transport":
		t := &Transport{}
		c.Tables = append(c.Tables, t)
		return t.params()
	case "restriction_class":
		r := &RestrictionClass{}
		c.Classes = append(c.Classes, r)
		return r.params()
	case "listener":
		l := &Listener{}
		c.SMTPDListeners = append(c.SMTPDListeners, l)
		return l.params()
	case "spawn":
		s := &Spawn{}
		c.Spawns = append(c.Spawns, s)
		return s.params()
	}
	return nil
}

// Changed names the parameters that differ between c and other, in the order
// of the manual, and the tables that only one of them has.
func (c *Config) Changed(other *Config) []string {
	var names []string
	note := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	there := map[string]Param{}
	for _, p := range other.bound {
		there[p.Name] = p
	}
	for _, p := range c.bound {
		was, ok := there[p.Name]
		delete(there, p.Name)
		switch {
		case !ok:
			note(p.tableName())
		case p.inherited != "" && p.IsDefault() && was.IsDefault(): // [smtpd] says it
		case p.Value() != was.Value():
			note(p.Name)
		}
	}
	for _, p := range other.bound {
		if _, ok := there[p.Name]; ok {
			note(p.tableName())
		}
	}
	return names
}

// tableName is "section.name" of a parameter of a table.
func (p Param) tableName() string { return p.Name[:strings.LastIndexByte(p.Name, '.')] }

// declare makes the rows, which sets every field to its default.
func (c *Config) declare() []Param {
	var all []Param
	for _, section := range [][]Param{
		c.Main.params(), c.Log.params(), c.TLS.params(), c.Directory.params(), c.Auth.params(), c.Anvil.params(), c.DNS.params(),
		c.Queue.params(), c.Postscreen.params(), c.SMTPD.params(), c.Cleanup.params(), append(c.Cleanup.Rewriting.forms(), c.Rewrite.params()...), c.Milter.params(), c.Qmgr.params(), c.SMTP.params(), c.Bounce.params(),
		c.Store.params(), c.LMTPD.params(), c.IMAPD.params(), c.POP3D.params(), c.Admin.params(), c.Lookup.params(), c.Proxymap.params(), c.Verify.params(), c.Flush.params(), c.Pickup.params(), c.QMQPD.params(), c.Master.params(), c.Local.params(),
	} {
		all = append(all, section...)
	}
	return all
}
