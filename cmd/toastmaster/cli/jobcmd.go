package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/internal/printable"
)

func newJobCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "job", "Look at long work in the background, wait for it, end it")
	cmd.AddCommand(jobList(f), jobShow(f), jobWait(f), jobCancel(f))
	return cmd
}

func backgroundFlag(cmd *cobra.Command, background *bool) {
	cmd.Flags().BoolVar(background, "background", false, "print the job's number and do not wait for it")
}

// restartPatience is how long the service may be away while somebody waits for a
// job. It is no parameter: it is for who looks on, and the job does not hear of it.
const restartPatience = time.Minute

// follow waits for a job and shows how far it is. done says what it has done; it is
// called for a job that has failed in part, too.
func (f *adminFlags) follow(ctx context.Context, c *client.Client, j model.Job, background bool, done func(model.Job) error) error {
	if background {
		return f.done(j, "job %d: %s %s; `toastmaster job wait %d` waits for it", j.ID, j.Kind, j.Object, j.ID)
	}
	m := newMeter(f.env, f.json)
	defer m.end()
	j, err := c.WaitJob(ctx, j.ID, restartPatience, func(j model.Job) {
		m.show(jobText(j), j.Done+j.Unchanged+j.Failed, j.Total)
	})
	m.end()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("no longer waiting; job %d goes on: `toastmaster job wait %d` waits for it, `toastmaster job cancel %d` ends it", j.ID, j.ID, j.ID)
	}
	if err != nil {
		return fmt.Errorf("what became of job %d is not known, `toastmaster job show %d` says it: %w", j.ID, j.ID, err)
	}
	if j.State == model.JobDone {
		return done(j)
	}
	if !f.json {
		for _, text := range j.Errors {
			fmt.Fprintln(f.env.Stderr, text)
		}
		if more := j.Failed - int64(len(j.Errors)); more > 0 {
			fmt.Fprintf(f.env.Stderr, "and %d more\n", more)
		}
	} else if err := printJSON(f.env.Stdout, j); err != nil {
		return err
	}
	return jobEnd(j)
}

// jobEnd is why a job that is over is no success; nil for one that is.
func jobEnd(j model.Job) error {
	if j.State == model.JobDone {
		return nil
	}
	reason := ""
	if j.Error != "" {
		reason = ": " + j.Error
	}
	return fmt.Errorf("job %d (%s %s) %s after %s%s", j.ID, j.Kind, j.Object, j.State, jobText(j), reason)
}

func jobText(j model.Job) string {
	text := strconv.FormatInt(j.Done, 10) + " done"
	if j.Total > 0 {
		text = fmt.Sprintf("%d of %d done", j.Done, j.Total)
	}
	if j.Unchanged > 0 {
		text += fmt.Sprintf(", %d unchanged", j.Unchanged)
	}
	if j.Failed > 0 {
		text += fmt.Sprintf(", %d failed", j.Failed)
	}
	return text
}

func jobList(f *adminFlags) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs that wait or run, newest first",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(func(c *client.Client) error {
				l := f.newListing("JOB", "STATE", "KIND", "OBJECT", "PROGRESS", "BEGAN", "BY")
				err := client.Each(cmd.Context(), c.Jobs, struct{}{}, func(j model.Job) error {
					if !all && j.State.Over() {
						return nil
					}
					return l.add(j, strconv.FormatInt(j.ID, 10), string(j.State), j.Kind, j.Object, jobText(j), timeText(j.Created), j.Actor)
				})
				if err != nil {
					return err
				}
				return l.close()
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are over")
	return cmd
}

// jobNumber reads the argument.
func jobNumber(cmd *cobra.Command, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, wrongUsage(cmd, "%q is no number of a job", text)
	}
	return id, nil
}

// onJob is a command about one job.
func onJob(f *adminFlags, verb, short string, do func(context.Context, *client.Client, int64) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " JOB",
		Short: short,
		Args:  exactArguments("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobNumber(cmd, args[0])
			if err != nil {
				return err
			}
			return f.withClient(func(c *client.Client) error { return do(cmd.Context(), c, id) })
		},
	}
}

func jobShow(f *adminFlags) *cobra.Command {
	return onJob(f, "show", "Show how far a job is", func(ctx context.Context, c *client.Client, id int64) error {
		j, err := c.Job(ctx, id)
		if err != nil {
			return err
		}
		rows := [][2]string{
			{"job", strconv.FormatInt(id, 10)}, {"state", string(j.State)}, {"kind", j.Kind}, {"object", j.Object},
			{"progress", jobText(j)}, {"asked for", timeText(j.Created)}, {"by", j.Actor},
		}
		if j.Started != nil {
			rows = append(rows, [2]string{"began", timeText(*j.Started)})
		}
		if j.Ended != nil {
			rows = append(rows, [2]string{"ended", timeText(*j.Ended)})
		}
		if j.Error != "" {
			rows = append(rows, [2]string{"error", j.Error})
		}
		for _, text := range j.Errors {
			rows = append(rows, [2]string{"failed", printable.UTF8(text)})
		}
		return f.printOne(j, rows)
	})
}

func jobWait(f *adminFlags) *cobra.Command {
	return onJob(f, "wait", "Wait until a job is over; exit code 0 when all was done", func(ctx context.Context, c *client.Client, id int64) error {
		j, err := c.Job(ctx, id)
		if err != nil {
			return err
		}
		return f.follow(ctx, c, j, false, func(j model.Job) error {
			return f.done(j, "job %d (%s %s): %s", j.ID, j.Kind, j.Object, jobText(j))
		})
	})
}

func jobCancel(f *adminFlags) *cobra.Command {
	return onJob(f, "cancel", "End a job; what it has done stays done", func(ctx context.Context, c *client.Client, id int64) error {
		j, err := c.CancelJob(ctx, id)
		if err != nil {
			return err
		}
		if !j.State.Over() {
			if j, err = c.WaitJob(ctx, id, restartPatience, nil); err != nil {
				return err
			}
		}
		return f.done(j, "job %d (%s %s) %s after %s", j.ID, j.Kind, j.Object, j.State, jobText(j))
	})
}
