package configs

import (
	"regexp"
	"slices"
	"testing"
)

// TestFindByTheNamesOfOthers: the names of Postfix and Dovecot that are in most
// configurations find what does the same here.
func TestFindByTheNamesOfOthers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		// Postfix
		"myhostname": "main.hostname", "mydestination": "rewrite.mydestination", "mynetworks": "main.trusted_networks",
		"inet_interfaces": "smtpd.listen", "inet_protocols": "smtp.protocols", "relayhost": "smtp.relayhost",
		"recipient_delimiter": "main.recipient_delimiter", "message_size_limit": "smtpd.message_size_limit",
		"mailbox_size_limit": "store.quota_grace", "queue_directory": "main.data_dir", "queue_minfree": "queue.min_free",
		"queue_run_delay": "queue.run_delay", "minimal_backoff_time": "qmgr.minimal_backoff_time",
		"maximal_backoff_time": "qmgr.maximal_backoff_time", "maximal_queue_lifetime": "qmgr.queue_lifetime",
		"bounce_queue_lifetime": "qmgr.bounce_queue_lifetime", "delay_warning_time": "qmgr.delay_warning_time",
		"bounce_size_limit": "bounce.size_limit", "notify_classes": "bounce.copy_to", "hopcount_limit": "cleanup.hop_count_limit",
		"virtual_alias_maps": "directory.path", "virtual_mailbox_domains": "directory.path", "virtual_mailbox_base": "store.path",
		"virtual_alias_recursion_limit": "cleanup.alias_depth_limit", "virtual_alias_expansion_limit": "cleanup.alias_expansion_limit",
		"anvil_rate_time_unit": "anvil.rate_time_unit", "default_process_limit": "smtpd.max_connections",
		"default_destination_concurrency_limit": "qmgr.destination_concurrency_limit",
		"smtpd_client_connection_count_limit":   "smtpd.max_connections_per_client",
		"smtpd_client_connection_rate_limit":    "smtpd.client_connection_rate_limit",
		"smtpd_client_message_rate_limit":       "smtpd.client_message_rate_limit",
		"smtpd_client_recipient_rate_limit":     "smtpd.client_recipient_rate_limit",
		"smtpd_client_auth_rate_limit":          "smtpd.client_auth_rate_limit",
		"smtpd_error_sleep_time":                "smtpd.error_sleep_time", "smtpd_soft_error_limit": "smtpd.soft_error_limit",
		"smtpd_hard_error_limit": "smtpd.error_limit", "smtpd_junk_command_limit": "smtpd.junk_limit",
		"smtpd_forbid_unauth_pipelining": "smtpd.forbid_unauth_pipelining", "smtpd_forbid_bare_newline": "smtpd.bare_newline",
		"smtpd_recipient_limit": "smtpd.recipient_limit", "smtpd_timeout": "smtpd.timeout", "smtpd_relay_restrictions": "smtpd.relay_restrictions", "mua_sender_restrictions": "smtpd.mua_sender_restrictions",
		"smtpd_sender_login_maps": "smtpd.check_sender_login", "smtpd_sasl_auth_enable": "smtpd.auth_on_listen",
		"smtpd_tls_chain_files": "tls.certificates", "smtpd_tls_cert_file": "tls.certificates", "smtpd_tls_security_level": "smtpd.tls_security_level",
		"smtpd_tls_protocols": "tls.min_version", "smtp_tls_security_level": "smtp.tls_level",
		"smtp_sasl_password_maps": "smtp.password_file", "smtp_connect_timeout": "smtp.connect_timeout",
		"smtp_data_done_timeout": "smtp.data_done_timeout", "smtp_mx_address_limit": "smtp.address_limit", "proxy_interfaces": "smtp.own_addresses",
		"message_drop_headers": "cleanup.drop_headers", "maillog_file": "log.file",
		// Dovecot
		"protocols": "imapd.listen", "mail_location": "store.path", "mail_home": "store.home", "ssl_cert": "tls.certificates",
		"ssl_min_protocol": "tls.min_version", "disable_plaintext_auth": "main.trusted_networks", "auth_failure_delay": "auth.failure_answer",
		"auth_cache_size": "auth.cache_entries", "auth_cache_ttl": "auth.cache_ttl", "mail_max_userip_connections": "imapd.max_userip_connections",
		"imap_idle_notify_interval": "imapd.idle_notify_interval", "imap_max_line_length": "imapd.max_line",
		"mailbox_idle_check_interval": "store.sync_interval", "pop3_uidl_format": "pop3d.uidl_format", "pop3_no_flag_updates": "pop3d.no_flag_updates",
		"quota_grace": "store.quota_grace", "quota_full_tempfail": "qmgr.over_quota_temporary", "log_path": "log.file",
		"postmaster_address": "smtpd.postmaster", "lmtp_user_concurrency_limit": "lmtpd.concurrency", "login_trusted_networks": "lmtpd.trusted_networks",
		"passdb": "directory.path", "userdb": "directory.path",
	} {
		var names []string
		for _, p := range Find([]string{name}) {
			names = append(names, p.Name)
		}
		if !slices.Contains(names, want) {
			t.Errorf("%s: %v, not %s", name, names, want)
		}
		if len(names) > 6 {
			t.Errorf("%s: %d parameters: %v", name, len(names), names)
		}
	}
}

// TestNearest: what has no counterpart here is answered with what shares most.
func TestNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"smtpd_client_connection_rate_time":   "smtpd.client_connection_rate_limit",
		"smtp_tls_session_cache_timeout":      "smtp.connection_cache_time",
		"virtual_destination_recipient_limit": "qmgr.destination_recipient_limit",
		"imap_hibernate_timeout":              "",
		"xyzzy":                               "",
	} {
		if found := Find([]string{name}); len(found) > 0 {
			t.Errorf("%s is found: %s", name, found[0].Name)
		}
		var names []string
		for _, p := range Nearest([]string{name}) {
			names = append(names, p.Name)
		}
		if want != "" && !slices.Contains(names, want) || len(names) > 5 || name == "xyzzy" && len(names) > 0 {
			t.Errorf("%s: %v, not %s", name, names, want)
		}
	}
}

// TestNamesOfOthersAreNames: no slip of the pen, none twice.
func TestNamesOfOthersAreNames(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z0-9][a-z0-9_]*(CAfile|CApath)?$`)
	for _, p := range Default().Bound() {
		for i, n := range p.Names {
			if !form.MatchString(n) || slices.Contains(p.Names[:i], n) {
				t.Errorf("%s: %q", p.Name, n)
			}
		}
	}
}
