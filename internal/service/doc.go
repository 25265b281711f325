// Package service is what every service of the system is: a name, listeners,
// limits and Run.
package service
