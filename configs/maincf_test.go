package configs

import (
	"strings"
	"testing"
)

// TestMainCF: what is the same here is a configuration that Parse takes, with the values in our form; all else is told, each
// parameter once.
func TestMainCF(t *testing.T) {
	t.Parallel()
	const mainCF = `# a comment
myhostname = mail.isp.example
mynetworks = 127.0.0.0/8 [::1]/128,
  192.0.2.17
  # a comment within
relayhost = [smtp.up.example]:587
relayhost = [$myhostname]:25
smtpd_recipient_restrictions = permit_mynetworks reject_rbl_client zen.example.org=127.0.0.[2..11],
	check_policy_service { inet:127.0.0.1:10023, timeout=10s }, reject_unauth_destination
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_cert_file = /c.pem
smtpd_tls_key_file = /k.pem
smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
message_size_limit = 52428800
maximal_queue_lifetime = 3
minimal_backoff_time = 300
soft_bounce = yes
mailbox_command = /usr/bin/procmail -a "$EXTENSION"
always_bcc =
virtual_mailbox_maps = mysql:/etc/postfix/m.cf
compatibility_level = 2
myorigin = $mydomain
header_checks = pcre:$config_directory/checks
transport_maps = hash:/etc/postfix/transport
smtp_tls_security_level = dane
my_own = x
`
	var out strings.Builder
	if err := WriteMainCF(&out, strings.NewReader(mainCF)); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if _, err := Parse("x.toml", []byte(text)); err != nil {
		t.Errorf("it is no configuration: %v", err)
	}
	for _, want := range []string{
		`hostname = "mail.isp.example"`, `trusted_networks = ["127.0.0.0/8", "::1/128", "192.0.2.17/32"]`, `relayhost = "[mail.isp.example]:25"`,
		`recipient_restrictions = ["reject_unlisted_recipient", "reject_relocated_recipient", "reject_over_quota", "permit_mynetworks", "reject_rbl_client zen.example.org=127.0.0.[2..11]", "check_policy_service { inet:127.0.0.1:10023, timeout=10s }", "reject_unauth_destination"]`,
		`relay_restrictions = ["permit_mynetworks", "reject_unauth_destination"]`, `certificates = ["/c.pem,/k.pem"]`, `password_file = "/etc/postfix/sasl_passwd"`, `message_size_limit = 52428800`,
		`queue_lifetime = "3d"`, `minimal_backoff_time = "300s"`, `soft_bounce = true`, `-a \"$EXTENSION\"`, `always_bcc = ""`, `transport_maps = ["hash:/etc/postfix/transport"]`,
		"# 15 of the 21 parameters",
		"# virtual_mailbox_maps = mysql:/etc/postfix/m.cf: directory.path; ", "# compatibility_level = 2: left out: ", "# myorigin = $mydomain: main.hostname\n",
		"# header_checks = pcre:$config_directory/checks: cleanup.header_checks; a $name in it", "# smtp_tls_security_level = dane: ", "# my_own = x: no parameter of Postfix",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	for text, want := range map[string]string{"  x = y\n": "line 1: it goes on with", "\n#\nnonsense\n": "line 3: expected", "a b = c\n": "line 1: expected"} {
		if err := WriteMainCF(&out, strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestMainCFKnowsParameters: every parameter that stands under another name is one, of the kind that takes the same values.
func TestMainCFKnowsParameters(t *testing.T) {
	t.Parallel()
	for name, here := range maincfNames {
		if said, known := Postfix(name); !known || hereOf(name) != here || len(Find([]string{here})) == 0 {
			t.Errorf("%s is %s: %+v", name, here, said)
		}
	}
}
