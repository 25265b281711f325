package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/admin/model"
)

// TestRelocatedFromKeepsTheText: where somebody moved to is a text for people, whose
// commas are part of it; those between the targets of an alias are not.
func TestRelocatedFromKeepsTheText(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(0, "", "domain", "add", "a.test")
	file := filepath.Join(t.TempDir(), "relocated")
	if err := os.WriteFile(file, []byte("old@a.test\tRoad 1, Town,\n   Country\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(0, "", "relocated", "add", "--from", file)
	s.wants([]string{"Road 1, Town, Country\n"}, "relocated", "show", "old@a.test")
}

// TestAliasFromATargetTwice: Postfix's files have them, and it leaves the second one out.
func TestAliasFromATargetTwice(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(0, "", "domain", "add", "a.test")
	file := filepath.Join(t.TempDir(), "virtual")
	if err := os.WriteFile(file, []byte("all@a.test  Ann@far.test, bob@far.test,\n   ann@far.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(0, "", "alias", "add", "--from", file)
	s.wants([]string{"Ann@far.test", "bob@far.test"}, "alias", "show", "all@a.test")
}

// TestSwitchesAsTheListsShowThem: a list says yes and no, and the command takes both.
func TestSwitchesAsTheListsShowThem(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(0, "", "domain", "add", "a.test")
	for _, word := range []string{"yes", "no", "true", "false", "Yes"} {
		s.run(0, "", "domain", "set", "a.test", "--enabled", word)
	}
	s.wants([]string{"enabled", "yes"}, "domain", "show", "a.test")
	if _, errs := s.run(2, "", "domain", "set", "a.test", "--enabled", "maybe"); !strings.Contains(errs, `"maybe" is not true or false, or yes or no`) {
		t.Error(errs)
	}
	// A refusal says how the command line does it, and an alias of nobody why it is unknown.
	s.run(0, "", "alias", "add", "dead@a.test", "nobody@a.test")
	if _, errs := s.run(1, "", "domain", "remove", "a.test"); !strings.Contains(errs, "--all") {
		t.Error(errs)
	}
	if out, _ := s.run(1, "", "check", "dead@a.test"); !strings.Contains(out, "550 5.1.1 User unknown (it is an alias, and mail for none of these is taken: nobody@a.test)") {
		t.Error(out)
	}
}

// TestACommandThatIsNearlyOne: what somebody mistyped is named.
func TestACommandThatIsNearlyOne(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"mailbx": `unknown command "mailbx" (did you mean mailbox?)`, "mailbox lst": `unknown command "lst" (did you mean list?)`,
		"queue x": "unknown command \"x\", see", "postconf-e": "unknown command \"postconf-e\", see",
	} {
		if _, errs := runs(t, 2, strings.Fields(line)...); !strings.Contains(errs, want) {
			t.Errorf("%s: %s", line, errs)
		}
	}
}

// TestWhereMailGoes: the reply and why, the targets, the mailbox, or the transport.
func TestWhereMailGoes(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]model.Decision{
		"a@x.test, b@y.test":           {Verdict: "forward", Addresses: []string{"a@x.test", "b@y.test"}},
		"a@x.test":                     {Verdict: "deliver", Mailbox: "a@x.test"},
		"by transport trap: spam trap": {Verdict: "foreign", Transport: "trap", Nexthop: "spam trap"},
		"another host":                 {Verdict: "foreign"},
		"550 5.1.2 Closed":             {Verdict: "foreign", Reply: "550 5.1.2 Closed"},
		"550 5.1.1 No (it is an alias, and mail for none of these is taken: n@x.test)": {Verdict: "unknown", Reply: "550 5.1.1 No", Addresses: []string{"n@x.test"}},
	} {
		if got := goesTo(d); got != want {
			t.Errorf("%+v: %s", d, got)
		}
	}
}
