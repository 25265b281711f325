package configs

import "time"

// Log is the section [log].
type Log struct {
	Format string
	Level  string
	File   string
	Buffer int64
	Flush  time.Duration
}

func (c *Log) params() []Param {
	return []Param{
		Choice("log.format", &c.Format, "text", []string{"text", "json"},
			"One line for each event, as key=value or as a JSON object."),
		Choice("log.level", &c.Level, "info", []string{"debug", "info", "warn", "error"},
			"The lowest level that is written. Mail events are info, failed deliveries and log-ins warn."),
		String("log.file", &c.File, "stderr", `"stderr" or a file`, nil,
			"Where the log goes. SIGHUP opens a file again, after it was rotated."),
		Size("log.buffer", &c.Buffer, 64<<10, 0, 16<<20,
			"Lines up to this size are gathered and written with one call. 0 writes every line at once."),
		Duration("log.flush", &c.Flush, 100*time.Millisecond, time.Millisecond, 10*time.Second,
			"The longest that a line below warn waits to be written."),
	}
}
