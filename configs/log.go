package configs

import (
	"log/slog"
	"time"
)

// Log is the section [log].
type Log struct {
	Format LogFormat
	// ISO is log.timestamps = "iso": RFC 3339 on the lines of the format postfix.
	ISO    bool
	Level  slog.Level
	File   string
	Buffer int64
	Flush  time.Duration
	// CloseTimeout is how long a stop waits for the reader of the log.
	CloseTimeout time.Duration
}

func (c *Log) params() []Param {
	return []Param{
		enum("log.format", &c.Format, LogText, logFormats(),
			"One line for each event, as key=value or as a JSON object; or lines as Postfix and Dovecot write them, for pflogsumm, fail2ban and logwatch.").Also("syslog_name", "syslog_facility"),
		enum("log.timestamps", &c.ISO, false, isoTimestamps(),
			"The time on the lines of the format postfix, in local time: \"Nov 26 17:00:00\" as syslog has it, or \"2026-11-26T17:00:00.123456+01:00\" (RFC 3339) as newer syslogs do.").Also("log_timestamp"),
		enum("log.level", &c.Level, slog.LevelInfo, logLevels(),
			"The lowest level that is written. Mail events are info, failed deliveries and log-ins warn.").Also("log_debug", "auth_verbose", "auth_debug", "mail_debug", "debug_peer_list"),
		String("log.file", &c.File, "stderr", `"stderr" or a file`, nil,
			"Where the log goes. SIGHUP opens a file again, after it was rotated.").Also("maillog_file", "log_path", "info_log_path", "debug_log_path"),
		Size("log.buffer", &c.Buffer, 4<<20, 64<<10, 1<<30,
			"How much of the log may wait while it cannot be written, because whoever reads it stalls or a disk hangs. Mail goes on; lines beyond are dropped, counted (metric toastmaster_log_lines_lost_total) and noted in the log when it goes on, and `toastmaster status` shows the log as degraded. As much again may be in the hands of the system."),
		Duration("log.flush", &c.Flush, 100*time.Millisecond, 0, 10*time.Second,
			"The longest that a line below warn waits to be written together with others, and what a crash of the machine or a kill may lose. 0 writes each at once."),
		Duration("log.close_timeout", &c.CloseTimeout, 3*time.Second, 100*time.Millisecond, time.Minute,
			"How long a stop, and a rotation by SIGHUP, wait for a log that cannot be written. What is not written by then is lost, and said on standard error."),
	}
}
