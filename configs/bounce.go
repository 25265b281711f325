package configs

import "toastmaster/internal/addr"

// Bounce is the section [bounce].
type Bounce struct {
	SizeLimit int64
	CopyTo    string
}

func (c *Bounce) params() []Param {
	return []Param{
		Size("bounce.size_limit", &c.SizeLimit, 50_000, 0, 100<<20,
			"Up to this size a failure report returns the whole message; of a larger one only the header.").Also("bounce_size_limit"),
		String("bounce.copy_to", &c.CopyTo, "", "a mail address, or empty", checkOptionalAddress,
			"Who gets a copy, with the header only, of every failure report, also of those that cannot be sent because the sender is the null sender. Empty turns it off (Postfix notify_classes bounce, 2bounce).").Also("bounce_notice_recipient", "2bounce_notice_recipient", "notify_classes", "error_notice_recipient", "delay_notice_recipient"),
	}
}

func checkOptionalAddress(s string) error {
	if s == "" {
		return nil
	}
	_, err := addr.Parse(s)
	return err
}
