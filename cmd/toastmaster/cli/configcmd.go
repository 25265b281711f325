package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"toastmaster/configs"
	"toastmaster/internal/run/check"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/usage"
)

func newConfigCommand(env *Environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and explain the configuration",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheckCommand(env), newConfigShowCommand(env), newConfigExplainCommand(env), newConfigSetCommand(env),
		newConfigManualCommand(env), newConfigPostfixCommand(env), newConfigSampleCommand(env))
	return cmd
}

func newConfigCheckCommand(env *Environment) *cobra.Command {
	var asJSON, bind bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the file and everything it names, and start nothing",
		Long: "Reads the file and everything it names, and starts nothing. Mistakes end with exit\n" +
			"code 2, warnings do not, 1 means that it cannot be said now (a locked database).\n" +
			"With --bind it tries the ports, too, without listening: those that another program\n" +
			"has are a warning, those of the instance that runs are its own. With --json the answer\n" +
			"is JSON in any case: file, status, mistakes, warnings.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			warnings, err := checkAll(cmd.Context(), env, bind)
			if asJSON {
				return checkJSON(env, warnings, err)
			}
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintln(env.Stderr, "warning:", w)
			}
			text := "no mistakes"
			if len(warnings) > 0 {
				text += ", " + counted(len(warnings), "warning", "warnings")
			}
			_, err = fmt.Fprintf(env.Stdout, "%s: %s\n", env.File(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&bind, "bind", false, "try to bind the ports, too")
	return cmd
}

// checkAll is all that can be said of the configuration, with bind of the ports, too.
func checkAll(ctx context.Context, env *Environment, bind bool) (warnings []string, err error) {
	c, err := env.Config()
	if err != nil {
		return nil, err
	}
	in, err := listeners.Inherit(c, env.Getenv)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if !in.Any() {
		in = nil // what a start is handed is not known here
	}
	plan, err := check.All(ctx, c, in)
	if err != nil {
		return nil, err
	}
	if warnings, err = check.Warnings(ctx, c, plan); err != nil || !bind {
		return warnings, err
	}
	for _, w := range check.BusyPorts(ctx, c, in) {
		warnings = append(warnings, w.Error())
	}
	return warnings, nil
}

// mistake is one of the configuration, for programs.
type mistake struct {
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`
	Param string `json:"param,omitempty"`
	Text  string `json:"text"`
}

// checkJSON prints the outcome of a check. The status says the rest.
func checkJSON(env *Environment, warnings []string, err error) error {
	if warnings == nil {
		warnings = []string{}
	}
	answer := map[string]any{"file": env.File(), "status": exitCode(err), "mistakes": mistakesOf(env, err), "warnings": warnings}
	if err := printJSON(env.Stdout, answer); err != nil {
		return err
	}
	return said(err)
}

// mistakesOf takes joined errors apart.
func mistakesOf(env *Environment, err error) []mistake {
	out := []mistake{}
	var u *usage.Error
	if errors.As(err, &u) {
		err = u.Unwrap()
	}
	var place *configs.Error
	switch joined, ok := err.(interface{ Unwrap() []error }); {
	case err == nil:
	case ok:
		for _, e := range joined.Unwrap() {
			out = append(out, mistakesOf(env, e)...)
		}
	case errors.As(err, &place):
		out = append(out, mistake{place.File, place.Line, place.Param, place.Err.Error()})
	default:
		out = append(out, mistake{File: env.File(), Text: err.Error()})
	}
	return out
}

func newConfigShowCommand(env *Environment) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the parameters that are not at their default",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			c, err := env.Config()
			if err != nil {
				return err
			}
			var shown []configs.Param
			for _, p := range c.Bound() {
				if all || !p.IsDefault() {
					shown = append(shown, p)
				}
			}
			if asJSON {
				return writeParamsJSON(env.Stdout, shown)
			}
			for _, p := range shown {
				fmt.Fprintf(env.Stdout, "%s = %s\n", p.Name, p.Value())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "show those at their default too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newConfigExplainCommand(env *Environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain NAME|WORD...",
		Short: "Explain a parameter, a section, or all that have to do with some words",
		Long: "Explains the parameter or the section NAME; or those that Postfix or Dovecot call so\n" +
			"(mynetworks); or those in whose name and text each WORD stands. Of a parameter of\n" +
			"Postfix that is not here it says why. Exit code 2: there are none; then it names those\n" +
			"that share most words with it.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrongUsage(cmd, "%s needs NAME", commandName(cmd))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			found := configs.Find(args)
			said, of := configs.PostfixParam{}, false
			if len(args) == 1 {
				said, of = configs.Postfix(args[0])
			}
			if len(found) == 0 && (!of || asJSON) {
				return unknownParam(args)
			}
			if asJSON {
				return writeParamsJSON(env.Stdout, found)
			}
			if of && (said.Yet || said.Text != "" || !slices.ContainsFunc(found, func(p configs.Param) bool { return slices.Contains(said.Here, p.Name) })) {
				fmt.Fprintf(env.Stdout, "Postfix %s: %s\n", said.Name, said.Answer())
				if len(found) > 0 {
					fmt.Fprintln(env.Stdout)
				}
			}
			for i, p := range found {
				if i > 0 {
					fmt.Fprintln(env.Stdout)
				}
				p.Explain(env.Stdout)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// unknownParam says what is nearest to what there is not.
func unknownParam(args []string) error {
	name := strings.Join(args, " ")
	if suggestion := configs.Suggest(strings.Join(args, "_")); suggestion != "" {
		return usageError("no parameter %q%s", name, suggestion)
	}
	var names []string
	for _, p := range configs.Nearest(args) {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return usageError("no parameter %q", name)
	}
	return usageError("no parameter %q; the nearest by words: %s", name, strings.Join(names, ", "))
}

func newConfigManualCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "manual",
		Short: "Print the manual of all parameters as Markdown",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return configs.WriteManual(env.Stdout) },
	}
}

func newConfigPostfixCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "postfix [FILE]",
		Short: "Translate a main.cf, or print what each parameter of Postfix is called here",
		Long: "Translates FILE, a main.cf or what `postconf -n` prints, - for standard input, into a part of a\n" +
			"configuration: parameters that are the same here, with their values. Behind them stands, as\n" +
			"comments, what is not translated and what there is of it. master.cf is not read, nor are the\n" +
			"files that main.cf names. Without FILE it prints what each parameter of Postfix is called here, or\n" +
			"why it is left out, as Markdown. Exit code 0: done; 1: FILE cannot be read; 2: it is no main.cf.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if len(args) == 0 {
				return configs.WritePostfix(env.Stdout)
			}
			in := env.Stdin
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			if err := configs.WriteMainCF(env.Stdout, in); err != nil {
				return usageError("%s: %w", args[0], err)
			}
			return nil
		},
	}
}

func newConfigSampleCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "sample",
		Short: "Print a configuration file with every parameter at its default",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return configs.WriteSample(env.Stdout) },
	}
}

func writeParamsJSON(w io.Writer, params []configs.Param) error {
	type row struct {
		Name    string `json:"name"`
		Type    string `json:"type"`
		Value   string `json:"value"`
		Default string `json:"default"`
		Allowed string `json:"allowed"`
		Text    string `json:"text"`
		// Others is what Postfix and Dovecot call it.
		Others []string `json:"others,omitempty"`
		// Reload says that a reload takes a change up; else the next start does.
		Reload bool `json:"reload"`
	}
	rows := []row{}
	for _, p := range params {
		rows = append(rows, row{p.Name, p.Kind, p.Value(), p.Default, p.Allowed, p.Text, p.Names, p.TakenUp()})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}
