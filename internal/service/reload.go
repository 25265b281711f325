package service

import (
	"errors"
	"fmt"
)

// Reloader is a service, or anything else of a Group's stages, that takes a
// new configuration while it runs. It keeps the old one when it returns an
// error. T is the program's configuration; this package does not know it.
type Reloader[T any] interface {
	Reload(config T) error
}

// Reload hands config to every service of g that is a Reloader[T], in order.
// All are asked, also after one has refused.
func Reload[T any](g *Group, config T) error {
	var errs []error
	for _, stage := range g.Stages {
		for _, s := range stage {
			r, ok := s.(Reloader[T])
			if !ok {
				continue
			}
			if err := r.Reload(config); err != nil {
				errs = append(errs, fmt.Errorf("service %s: %w", s.Name(), err))
			}
		}
	}
	return errors.Join(errs...)
}
