package configs

import (
	"fmt"
	"slices"

	"toastmaster/internal/addr"
)

// Bounce is the section [bounce].
type Bounce struct {
	SizeLimit    int64
	CopyTo       string
	Classes      []string
	DoubleCopyTo string
	DelayCopyTo  string
	TemplateFile string
}

func (c *Bounce) params() []Param {
	return []Param{
		Size("bounce.size_limit", &c.SizeLimit, 50_000, 0, 100<<20,
			"Up to this size a failure report returns the whole message; of a larger one only the header.").Also("bounce_size_limit"),
		String("bounce.copy_to", &c.CopyTo, "", "a mail address, or empty", checkOptionalAddress,
			"Who gets a copy, with the header only, of the reports that bounce.notify_classes names, also of those that cannot be sent because the sender is the null sender. Empty turns it off.").Also("bounce_notice_recipient"),
		List("bounce.notify_classes", &c.Classes, []string{"bounce", "2bounce"}, inWords(noticeClasses()), checkNoticeClass,
			"Of which reports bounce.copy_to gets a copy: bounce of those about failures, 2bounce of those that a null sender would get, and that nobody else hears of, delay of those about delays.").Also("notify_classes"),
		String("bounce.2bounce_notice_recipient", &c.DoubleCopyTo, "", "a mail address, or empty", checkOptionalAddress,
			"Who gets the copies of the class 2bounce. Empty is bounce.copy_to.").Also("2bounce_notice_recipient"),
		String("bounce.delay_notice_recipient", &c.DelayCopyTo, "", "a mail address, or empty", checkOptionalAddress,
			"Who gets the copies of the class delay. Empty is bounce.copy_to.").Also("delay_notice_recipient"),
		String("bounce.template_file", &c.TemplateFile, "", "a file, or empty", nil,
			"The texts of reports for people, as in Postfix's bounce(5): failure_template, delay_template, success_template. Empty, and for what the file does not have, is our own text.").Also("bounce_template_file"),
	}
}

func noticeClasses() []string { return []string{"bounce", "2bounce", "delay"} }

func checkNoticeClass(s string) error {
	if !slices.Contains(noticeClasses(), s) {
		return fmt.Errorf("%q is none of %s", s, inWords(noticeClasses()))
	}
	return nil
}

func checkOptionalAddress(s string) error {
	if s == "" {
		return nil
	}
	_, err := addr.Parse(s)
	return err
}
