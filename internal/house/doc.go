// Package house holds the rules of the house as data and a test that compares
// them with the code: who may import whom, which packages carry a manual page,
// how long files and functions may grow. It has no code to import.
package house
