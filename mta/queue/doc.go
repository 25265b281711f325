// Package queue is the durable mail queue on internal/journal.
package queue
