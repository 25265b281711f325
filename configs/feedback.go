package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Feedback is how much one delivery changes the concurrency of its destination: Times,
// divided by the concurrency (By 1), by its root (By 0.5) or by nothing (By 0).
type Feedback struct{ Times, By float64 }

// Of is the change at a concurrency.
func (f Feedback) Of(concurrency int) float64 {
	return f.Times / math.Pow(float64(max(concurrency, 1)), f.By)
}

var errFeedback = errors.New("no feedback")

// ParseFeedback reads what Postfix calls a feedback: "1", "0.5", "1/concurrency",
// "0.5/sqrt_concurrency".
func ParseFeedback(text string) (Feedback, error) {
	number, by, divided := strings.Cut(text, "/")
	f := Feedback{Times: 1}
	switch {
	case by == "concurrency":
		f.By = 1
	case by == "sqrt_concurrency":
		f.By = 0.5
	case divided:
		n, err := strconv.ParseFloat(by, 64)
		if err != nil || !(n >= 1) {
			return f, errFeedback
		}
		f.Times = 1 / n
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return f, errFeedback
	}
	f.Times *= n
	return f, nil
}

// feedback is a parameter of that kind; empty is allowed where another says it.
func feedback(name string, field *string, def, text string) Param {
	allowed := `a number from 0 to 1, which may be divided: "1", "0.5/sqrt_concurrency", "1/concurrency"`
	if def == "" {
		allowed += ", or empty"
	}
	return String(name, field, def, allowed, func(s string) error {
		if s == "" && def == "" {
			return nil
		}
		_, err := ParseFeedback(s)
		return err
	}, text)
}
