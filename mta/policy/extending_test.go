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

// rejectMultiRecipientBounce is reject_multi_recipient_bounce: a report has one
// recipient.
func rejectMultiRecipientBounce(s Stage, _ *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		if t.Sender.IsNull() && t.Recipients > 1 {
			return refuse(dsn.New(dsn.Make(5, 5, 3), t.about(s)+"Multi-recipient bounce").WithCode(550))
		}
		return Decision{}
	})
}

// end

// multiRecipientBounce is its row.
func multiRecipientBounce() row {
	return row{"reject_multi_recipient_bounce", at(Data, EndOfData), rejectMultiRecipientBounce}
}

// TestTheExampleOfExtending is a restriction that is added: by its file and its
// row, and nothing else.
func TestTheExampleOfExtending(t *testing.T) {
	t.Parallel()
	table := append(rows(), multiRecipientBounce())
	if _, err := compile(table, Rcpt, []string{"reject_multi_recipient_bounce"}, &Env{}); err == nil {
		t.Error("it can be asked at RCPT")
	}
	l, err := compile(table, Data, []string{"permit_mynetworks", "reject_multi_recipient_bounce"}, &Env{})
	if err != nil {
		t.Fatal(err)
	}
	bounce, message := &Transaction{Recipients: 2}, &Transaction{Recipients: 2, Sender: address(t, "a@example.test")}
	if got := text(l.Decide(t.Context(), bounce)); got != "REJECT 550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce" {
		t.Error(got)
	}
	if got := text(l.Decide(t.Context(), message)); got != "DUNNO" {
		t.Error(got)
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
	if r := "`{\"reject_multi_recipient_bounce\", at(Data, EndOfData), rejectMultiRecipientBounce},`"; !strings.Contains(string(page), r) {
		t.Errorf("docs/internals/extending.md does not show the row %s", r)
	}
}
