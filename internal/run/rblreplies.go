package run

import (
	"context"
	"fmt"

	"toastmaster/directory"
)

// rblReplies opens smtpd.rbl_reply_maps, of which a section has names. A table that does not answer leaves
// smtpd.default_rbl_reply, with a line in the log.
func (p *pipeline) rblReplies(ctx context.Context, section string, names []string) (func(context.Context, string) (string, bool), error) {
	if len(names) == 0 {
		return nil, nil
	}
	maps, item, err := p.tables.OpenAll(ctx, names)
	if err != nil {
		return nil, p.config.MistakeIn(section+".rbl_reply_maps", item, err)
	}
	return func(ctx context.Context, list string) (string, bool) {
		text, err := maps.Lookup(ctx, list)
		if directory.OutcomeOf(err) != directory.Found && directory.OutcomeOf(err) != directory.NotFound {
			p.log.Warn("a table of smtpd.rbl_reply_maps does not answer; the reply is smtpd.default_rbl_reply", "service", "smtpd", "list", list, "cause", fmt.Errorf("%s: %w", names, err))
		}
		return text, err == nil
	}, nil
}
