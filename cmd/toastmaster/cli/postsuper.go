package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

const postsuperUsage = "usage: postsuper [-c config_file] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-p (purge temporary files)] [-H queue_id (un-hold)] [-r queue_id (requeue)] [-s (structure check)] [-v (verbose)] [queue...]"

// queueNames are the queues that postsuper works on.
var queueNames = []string{"hold", "incoming", "active", "deferred"}

// newPostsuperCommand has the command line of Postfix's postsuper(1).
func newPostsuperCommand(env *Environment) *cobra.Command {
	return newQueueProgramCommand(env, "postsuper [-s] [-p] [-d ID] [-e ID] [-f ID] [-h ID] [-H ID] [-r ID] [QUEUE...]", "Delete, expire, hold, release or requeue mail, as Postfix's postsuper does",
		"Works on queued mail as Postfix's postsuper(1) does: -d deletes without a report, -h holds, -H ends\n"+
			"a hold, -r makes due and resolves anew, -e has the next attempt return it, -f ends its hold, too. Each takes an ID and may stand several times; - reads IDs\n"+
			"from standard input, ALL is all mail. QUEUE is hold, incoming, active or deferred; without, -h\n"+
			"looks into the last three, -H into hold, the others into all. -s, -S, -p and no\n"+
			"option look the queue over: what was interrupted is finished or removed, what is damaged goes to\n"+
			"corrupt/, files in a wrong folder go to theirs. A start does so, too: of a service that runs it is done.\n"+
			"-c FILE names the configuration. Called as postsuper the exit code is 0, also when an ID was not\n"+
			"found; 1 for what fails.", Postsuper)
}

// Postsuper is the program when it is called as postsuper.
func Postsuper(ctx context.Context, env *Environment, args []string) int {
	p := newQueueProgram(env, "postsuper")
	return p.end(p.postsuper(ctx, args), 1)
}

// superAction is what is done to messages.
type superAction struct {
	letter string
	// done is what is said of a message, total of all.
	done, total string
	queues      []string // where it looks when none is named
	act         func(mailQueue, context.Context, string) (bool, error)
	// behind, if it is there, is what is done to the same messages then. Such an action has no
	// total of its own.
	behind []*superAction

	ids   []string
	used  bool
	count int
}

// superActions are in the order in which Postfix does them.
func superActions() []*superAction {
	release := &superAction{letter: "H", done: "released from hold", total: "Released from hold", queues: queueNames[:1], act: mailQueue.Release}
	expire := &superAction{letter: "e", done: "expired", total: "Force-expired", queues: queueNames, act: mailQueue.Expire}
	return []*superAction{
		{letter: "r", done: "requeued", total: "Requeued", queues: queueNames, act: mailQueue.Requeue},
		{letter: "d", done: "removed", total: "Deleted", queues: queueNames, act: mailQueue.DeleteQueued},
		{letter: "h", done: "placed on hold", total: "Placed on hold", queues: queueNames[1:], act: mailQueue.Hold},
		release, expire,
		{letter: "f", queues: queueNames, behind: []*superAction{expire, release}},
	}
}

func (p *queueProgram) postsuper(ctx context.Context, args []string) error {
	actions := superActions()
	for _, a := range actions {
		p.flags.StringArrayVarP(&a.ids, "action-"+a.letter, a.letter, nil, "")
	}
	for _, letter := range []string{"s", "S", "p"} {
		p.flags.CountP("repair-"+letter, letter, "")
	}
	if err := p.flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return p.help(postsuperUsage)
	} else if err != nil {
		return fmt.Errorf("%w; %s", err, postsuperUsage)
	}
	for _, name := range p.flags.Args() {
		if !slices.Contains(queueNames, name) {
			return fmt.Errorf("invalid directory name: %s", name)
		}
	}
	// What -s, -S and -p ask for is what a start does: to open the queue of a service that is stopped is that, and one that
	// runs has done it.
	return p.admin().withQueue(ctx, changesQueue, func() {}, func(q mailQueue) error { return p.superWork(ctx, q, actions) })
}

// superWork does all actions, and goes on after a message that could not be worked on.
func (p *queueProgram) superWork(ctx context.Context, c mailQueue, actions []*superAction) error {
	if _, err := c.Queue(ctx, model.QueueFilter{}, "", 1); err != nil {
		return err // nobody answers, or not to us: said once, not for each ID
	}
	failed := 0
	for _, a := range actions {
		steps := a.behind
		if steps == nil {
			steps = []*superAction{a}
		}
		for _, step := range steps {
			step.used = step.used || len(a.ids) > 0
		}
		if len(a.ids) == 0 {
			continue
		}
		err := p.eachNamed(ctx, c, a, func(id string, say bool) {
			for _, step := range steps {
				changed, err := step.act(c, ctx, id)
				switch {
				case err == nil && changed:
					step.count++
					if say {
						fmt.Fprintf(p.env.Stderr, "%s: %s: %s\n", p.name, id, step.done)
					}
				case err != nil && model.KindOf(err) != model.NotFound:
					failed++
					p.warn("%s: %v", id, err)
					return
				}
			}
		})
		if err != nil {
			return err
		}
	}
	for _, a := range actions {
		if a.used && a.behind == nil {
			fmt.Fprintf(p.env.Stderr, "%s: %s: %s\n", p.name, a.total, messages(a.count))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s could not be worked on", messages(failed))
	}
	return nil
}

// eachNamed calls do for the queue IDs that an action is for. As in Postfix those of ALL are not
// said one by one.
func (p *queueProgram) eachNamed(ctx context.Context, c mailQueue, a *superAction, do func(id string, say bool)) error {
	for _, id := range a.ids {
		var err error
		switch id {
		case "ALL":
			err = p.eachIn(ctx, c, a, do)
		case "-":
			lines := bufio.NewScanner(p.stdin)
			for err == nil && lines.Scan() {
				err = p.one(ctx, c, a, strings.TrimSuffix(lines.Text(), "\r"), do)
			}
			err = errors.Join(err, lines.Err())
		default:
			err = p.one(ctx, c, a, id, do)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wanted are the queues that an action looks into: those that are named, of those in which it
// can do something.
func (p *queueProgram) wanted(a *superAction) []string {
	if p.flags.NArg() == 0 {
		return a.queues
	}
	return slices.DeleteFunc(slices.Clone(a.queues), func(name string) bool { return !slices.Contains(p.flags.Args(), name) })
}

// eachIn calls do for all mail in the queues of an action.
func (p *queueProgram) eachIn(ctx context.Context, c mailQueue, a *superAction, do func(id string, say bool)) error {
	wanted := p.wanted(a)
	return client.Each(ctx, c.Queue, model.QueueFilter{}, func(m model.QueuedMessage) error {
		if slices.Contains(wanted, m.Place) {
			do(m.ID, false)
		}
		return ctx.Err()
	})
}

// one calls do for an ID, if it may be one and when queues are named if it is in one of them.
func (p *queueProgram) one(ctx context.Context, c mailQueue, a *superAction, id string, do func(id string, say bool)) error {
	if !validQueueID(id) {
		p.warn("invalid mail queue id: %s", id)
		return nil
	}
	if p.flags.NArg() > 0 {
		m, err := c.Queued(ctx, id)
		switch {
		case model.KindOf(err) == model.NotFound:
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", id, err)
		case !slices.Contains(p.wanted(a), m.Place):
			return nil
		}
	}
	do(id, true)
	return ctx.Err()
}
