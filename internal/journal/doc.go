// Package journal is the group-commit log.
package journal
