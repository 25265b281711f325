package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/printable"
)

func newQueueCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "queue", "Look at the mail queue and act on it")
	cmd.AddCommand(queueList(f), queueShow(f), queueCat(f), queueFlush(f),
		queueAct(f, "hold", "Take messages out of delivery", "held", mailQueue.Hold),
		queueAct(f, "release", "End the hold of messages", "released", mailQueue.Release),
		queueAct(f, "requeue", "Make messages due at once, also those on hold, and resolve them anew", "requeued", mailQueue.Requeue),
		queueAct(f, "expire", "Return messages to their senders at their next attempt", "expired", mailQueue.Expire),
		queueAct(f, "delete", "Delete messages without a report", "deleted", mailQueue.DeleteQueued))
	return cmd
}

// sayDown says that no instance was asked, as Postfix does.
func (f *adminFlags) sayDown() { fmt.Fprintln(f.env.Stderr, "warning: "+systemDown) }

func queueFilterFlags(cmd *cobra.Command, filter *model.QueueFilter) {
	places := choiceValue{&filter.Place, []string{"incoming", "active", "deferred", "hold", "corrupt"}, "PLACE"}
	cmd.Flags().Var(places, "place", "only those that are incoming, active, deferred, hold or corrupt")
	cmd.Flags().StringVar(&filter.Sender, "sender", "", "only those of this sender `ADDRESS`, or all of @DOMAIN; <> is the null sender, of reports")
	cmd.Flags().StringVar(&filter.Recipient, "recipient", "", "only those to this recipient `ADDRESS`, or to @DOMAIN")
}

func queueList(f *adminFlags) *cobra.Command {
	filter := model.QueueFilter{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the queue, as mailq does",
		Long: "One message with its recipients and why they wait. Behind the ID, * is active,\n" +
			"! is on hold and # is made to expire, as in Postfix. A corrupt message has that word below its sender, which\n" +
			"is ? when it cannot be read, and its file on the server. The last lines count the\n" +
			"files of damaged parts of the queue that no message can be named for.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withQueue(cmd.Context(), readsQueue, f.sayDown, func(c mailQueue) error {
				if f.json {
					return queueListJSON(cmd.Context(), f, c, filter)
				}
				return queueListText(cmd.Context(), f.env.Stdout, c, filter)
			})
		},
	}
	queueFilterFlags(cmd, &filter)
	return cmd
}

func queueListJSON(ctx context.Context, f *adminFlags, c mailQueue, filter model.QueueFilter) error {
	l := f.newListing()
	err := client.Each(ctx, c.Queue, filter, func(m model.QueuedMessage) error { return l.add(m) })
	if err != nil {
		return err
	}
	remains, err := queueRemains(ctx, c, filter)
	if err != nil {
		return err
	}
	for _, f := range remains {
		if err := l.add(f); err != nil {
			return err
		}
	}
	return l.close()
}

// queueRemains are the files without a message, where the filter lets them be
// listed.
func queueRemains(ctx context.Context, c mailQueue, filter model.QueueFilter) ([]model.QueueFiles, error) {
	if filter != (model.QueueFilter{}) && filter != (model.QueueFilter{Place: "corrupt"}) {
		return nil, nil
	}
	return c.QueueRemains(ctx)
}

// queueRow is a line of Postfix's postqueue -p with long queue IDs: what reads
// that reads this.
const queueRow = "%-17s %8s %-19s %s\n"

func queueListText(ctx context.Context, w io.Writer, c mailQueue, filter model.QueueFilter) error {
	var count int
	var octets int64
	err := client.Each(ctx, c.Queue, filter, func(m model.QueuedMessage) error {
		if count == 0 {
			fmt.Fprintf(w, queueRow, "----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------")
		}
		count++
		octets += m.Size
		return printQueued(w, m)
	})
	if err != nil {
		return err
	}
	switch {
	case count == 0 && filter != model.QueueFilter{}:
		fmt.Fprintln(w, "No such message is in the queue")
	case count == 0:
		fmt.Fprintln(w, "Mail queue is empty")
	default:
		plural := "s"
		if count == 1 {
			plural = ""
		}
		fmt.Fprintf(w, "-- %d Kbytes in %d Request%s.\n", octets/1024, count, plural)
	}
	remains, err := queueRemains(ctx, c, filter)
	for _, f := range remains {
		fmt.Fprintf(w, "-- %s in %s of what was damaged, without a queue ID.\n", counted(f.Count, "other file", "other files"), printable.UTF8(f.Path))
	}
	return err
}

func printQueued(w io.Writer, m model.QueuedMessage) error {
	mark := map[string]string{"active": "*", "hold": "!"}[m.Place]
	if m.ForcedExpire {
		mark += "#"
	}
	sender := m.Sender
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	fmt.Fprintf(w, queueRow, m.ID+mark, strconv.FormatInt(m.Size, 10), m.Arrived.Local().Format("Mon Jan _2 15:04:05"), printable.UTF8(sender))
	const indent = 47
	if m.Place == "corrupt" || m.Reason != "" {
		printReason(w, strings.TrimSuffix(m.Place+": "+printable.UTF8(m.Reason), ": "))
	}
	for _, file := range m.Files {
		fmt.Fprintf(w, "%*s%s\n", indent, "", printable.UTF8(file))
	}
	for _, r := range m.Recipients {
		if r.Reason != "" {
			printReason(w, printable.UTF8(withoutStatus(r.Reason)))
		}
		fmt.Fprintf(w, "%*s%s\n", indent, "", printable.UTF8(r.Address))
	}
	_, err := fmt.Fprintln(w)
	return err
}

// printReason puts a reason at the right margin, as Postfix does.
func printReason(w io.Writer, reason string) {
	fmt.Fprintf(w, "%*s(%s)\n", max(76-len(reason), 0), "", reason)
}

func queueShow(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a queued message's envelope",
		Args:  exactArguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withQueue(cmd.Context(), readsQueue, f.sayDown, func(c mailQueue) error {
				m, err := c.Queued(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				rows := [][2]string{
					{"id", m.ID}, {"place", m.Place}, {"size", configs.FormatSize(m.Size)}, {"arrived", timeText(m.Arrived)},
					{"sender", "<" + m.Sender + ">"}, {"attempts", fmt.Sprint(m.Attempts)},
				}
				if m.Next != nil {
					rows = append(rows, [2]string{"next attempt", timeText(*m.Next)})
				}
				if m.ForcedExpire {
					rows = append(rows, [2]string{"expires", "at its next attempt: it was made to"})
				}
				for _, action := range m.Actions {
					rows = append(rows, [2]string{"action", printable.UTF8(action)})
				}
				if m.Damaged {
					rows = append(rows, [2]string{"content", "damaged: not what was accepted"})
				}
				for _, r := range m.Recipients {
					rows = append(rows, [2]string{"recipient", r.Address})
					if r.Reason != "" {
						rows = append(rows, [2]string{"", printable.UTF8(r.Reason)})
					}
				}
				return f.printOne(m, rows)
			})
		},
	}
}

func queueCat(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "cat ID",
		Short: "Print a queued message",
		Args:  exactArguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.json {
				return wrongUsage(cmd, "--json: a message is printed as it is, `queue show` has the rest")
			}
			return f.withQueue(cmd.Context(), readsQueue, f.sayDown, func(c mailQueue) error {
				m, err := c.Queued(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				content, err := c.QueuedContent(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				defer content.Close()
				if m.Damaged {
					fmt.Fprintf(f.env.Stderr, "%s: the content is damaged: not what was accepted\n", args[0])
				}
				_, err = io.Copy(f.env.Stdout, content)
				return err
			})
		},
	}
}

// queueAct is an action on the messages that the arguments name, or on all.
func queueAct(f *adminFlags, verb, short, done string, act func(mailQueue, context.Context, string) (bool, error)) *cobra.Command {
	var all, background bool
	filter := model.QueueFilter{}
	cmd := &cobra.Command{
		Use:   verb + " ID... | " + verb + " --all [filter]",
		Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if !all && filter != (model.QueueFilter{}) {
				return wrongUsage(cmd, "%s: --place, --sender and --recipient choose from --all: write it, too", commandName(cmd))
			}
			if all == (len(args) > 0) {
				return wrongUsage(cmd, "%s needs IDs, or --all", commandName(cmd))
			}
			if background && !all {
				return wrongUsage(cmd, "--background needs --all")
			}
			if slices.Contains(args, "") {
				return wrongUsage(cmd, "%s: an ID is empty", commandName(cmd))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				return f.withQueue(cmd.Context(), changesQueue, f.sayDown, func(c mailQueue) error {
					return queueActOn(cmd.Context(), f, c, args, done, act)
				})
			}
			return f.withClient(func(c *client.Client) error {
				j, err := c.ActOnQueue(cmd.Context(), model.QueueAction{Action: verb, Filter: filter})
				if err != nil {
					return err
				}
				return f.follow(cmd.Context(), c, j, background, func(j model.Job) error {
					return queueCount{done: int(j.Done), unchanged: int(j.Unchanged), failed: int(j.Failed)}.report(f, done)
				})
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all messages, or all that the filter selects, as a job (toastmaster job)")
	backgroundFlag(cmd, &background)
	queueFilterFlags(cmd, &filter)
	return cmd
}

// queueCount is what became of the messages.
type queueCount struct {
	done, unchanged, missing, failed int
}

// queueActOn goes on after a failure and fails at the end. As for postsuper(1),
// an ID that is not in the queue is no failure: it is said, and not counted.
func queueActOn(ctx context.Context, f *adminFlags, c mailQueue, ids []string, done string, act func(mailQueue, context.Context, string) (bool, error)) error {
	n := queueCount{}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		changed, err := act(c, ctx, id)
		switch {
		case err == nil && changed:
			n.done++
		case err == nil:
			n.unchanged++
		case model.KindOf(err) == model.NotFound && id == "ALL": // as postsuper has it
			return usageError("all messages are --all, and --place, --sender and --recipient choose some of them")
		case model.KindOf(err) == model.NotFound:
			n.missing++
			fmt.Fprintf(f.env.Stderr, "%s: %v\n", id, err)
		case len(ids) == 1:
			return fmt.Errorf("%s: %w", id, err)
		default:
			n.failed++
			fmt.Fprintf(f.env.Stderr, "%s: %v\n", id, err)
		}
	}
	return n.report(f, done)
}

func (n queueCount) report(f *adminFlags, done string) error {
	text := messages(n.done) + " " + done
	if n.unchanged > 0 {
		text += fmt.Sprintf(", %d unchanged", n.unchanged)
	}
	if n.missing > 0 {
		text += fmt.Sprintf(", %d not found", n.missing)
	}
	if err := f.done(map[string]int{done: n.done, "unchanged": n.unchanged, "not_found": n.missing, "failed": n.failed}, "%s", text); err != nil {
		return err
	}
	if n.failed > 0 {
		return fmt.Errorf("%s not %s", messages(n.failed), done)
	}
	return nil
}

func queueFlush(f *adminFlags) *cobra.Command {
	filter := model.QueueFilter{}
	cmd := &cobra.Command{
		Use:   "flush",
		Short: "Make deferred messages due now",
		Long:  "Makes all deferred messages due now, or those that a filter chooses; `queue requeue ID`\nmakes one due, also one on hold.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrongUsage(cmd, "queue flush: unexpected argument %q: `toastmaster queue requeue ID` makes one message due", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(func(c *client.Client) error {
				n, err := c.Flush(cmd.Context(), filter)
				if err != nil {
					return err
				}
				return f.done(map[string]int{"flushed": n}, "%s due now", messages(n))
			})
		},
	}
	queueFilterFlags(cmd, &filter)
	return cmd
}
