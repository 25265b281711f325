package cli

import (
	"strings"
	"testing"

	"toastmaster/configs"
)

// TestExplainAnswersToPostfixNames: config explain has an answer to each parameter of
// Postfix: what it is called here, or why it is not here.
func TestExplainAnswersToPostfixNames(t *testing.T) {
	t.Parallel()
	all, err := configs.PostfixParams()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		out, _ := runs(t, 0, "config", "explain", p.Name)
		switch {
		case len(p.Here) == 0 && !strings.Contains(out, "Postfix "+p.Name+": "+p.Answer()+"\n"):
			t.Errorf("%s: %.200s", p.Name, out)
		case len(p.Here) > 0 && !strings.Contains(out, p.Here[0]):
			t.Errorf("%s: no %s: %.200s", p.Name, p.Here[0], out)
		}
	}
	out, _ := runs(t, 0, "config", "explain", "SMTPD_TLS_dcert_FILE")
	if !strings.HasPrefix(out, "Postfix smtpd_tls_dcert_file: left out: ") {
		t.Error(out)
	}
	_, errs := runs(t, 2, "config", "explain", "smtpd_no_such_thing_at_all")
	if !strings.Contains(errs, `no parameter "smtpd_no_such_thing_at_all"`) {
		t.Error(errs)
	}
}
