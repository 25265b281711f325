// Command toastmaster is the whole mail system: server, command line and, when
// called as sendmail or mailq, those programs.
//
// Here is only which program it is called as (personality.go). The command line is
// package cli, sendmail and its kin package sendmail, an instance that is served
// internal/run; e2e has the tests that drive the program from outside.
//
// # Exit codes
//
//	0   done
//	1   refused or failed; the reason is one line on standard error
//	2   wrong usage, a mistake in the configuration, or a part of the instance
//	    that is missing or another instance's; nothing was started or made
//
// Called as sendmail it uses the codes of sysexits.h, as sendmail does.
package main
