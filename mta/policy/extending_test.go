package policy

import (
	"context"
	"os"
	"strings"
	"testing"

	"toastmaster/internal/dsn"
)

// What docs/internals/extending.md shows stands between the marks, so that it is
// compiled, and asked.

// begin

// rejectQuotedLocalPart is reject_quoted_local_part: "a b"@example.org is nobody's
// address here.
func rejectQuotedLocalPart(Stage, *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		if strings.HasPrefix(t.Recipient.String(), `"`) {
			return refuse(dsn.New(dsn.BadDestMailbox, t.about(Rcpt)+"quoted local part"))
		}
		return Decision{}
	})
}

// end

// quotedLocalPart is its row.
func quotedLocalPart() row {
	return row{"reject_quoted_local_part", at(Rcpt), rejectQuotedLocalPart}
}

// TestTheExampleOfExtending is a restriction that is added: by its file and its
// row, and nothing else.
func TestTheExampleOfExtending(t *testing.T) {
	t.Parallel()
	table := append(rows(), quotedLocalPart())
	if _, err := compile(table, Mail, []string{"reject_quoted_local_part"}, &Env{}); err == nil {
		t.Error("it can be asked at MAIL")
	}
	l, err := compile(table, Rcpt, []string{"permit_mynetworks", "reject_quoted_local_part"}, &Env{})
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"a@example.test": "DUNNO", `"a b"@example.test`: `REJECT 550 5.1.1 <"a b"@example.test>: Recipient address rejected: quoted local part`,
	} {
		tx := &Transaction{}
		tx.SetRecipient(address(t, to), address(t, to))
		if got := text(l.Decide(t.Context(), tx)); got != want {
			t.Error(got)
		}
	}
}

// TestThePageShowsTheExample: what the page shows is what is compiled here.
func TestThePageShowsTheExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/internals/extending.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("extending_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "// begin\n\n")
	code, _, ok := strings.Cut(code, "\n// end\n")
	if !ok || !strings.Contains(string(page), "```go\n"+code+"```\n") {
		t.Errorf("docs/internals/extending.md does not show\n%s", code)
	}
	if r := "`{\"reject_quoted_local_part\", at(Rcpt), rejectQuotedLocalPart},`"; !strings.Contains(string(page), r) {
		t.Errorf("docs/internals/extending.md does not show the row %s", r)
	}
}
