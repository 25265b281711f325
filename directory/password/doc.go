// Package password verifies and makes password hashes and decides log-ins.
package password
