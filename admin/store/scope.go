package store

import (
	"encoding/json"
	"slices"

	"toastmaster/admin/model"
)

// narrow makes one condition of a domain and a scope: a domain outside of the scope
// has nothing to show.
func narrow(f model.Filter) model.Filter {
	if f.Domain != "" && f.Scope != nil && !slices.Contains(f.Scope.Domains, f.Domain) {
		f.Domain, f.Scope = "", &model.Scope{}
	}
	return f
}

// scopeArg is a scope as the queries want it: a JSON array.
func scopeArg(scope *model.Scope) string {
	b, err := json.Marshal(append([]string{}, scope.Domains...))
	if err != nil { // strings always can
		return "[]"
	}
	return string(b)
}

// optionalScope is scopeArg, and "" without a scope.
func optionalScope(scope *model.Scope) string {
	if scope == nil {
		return ""
	}
	return scopeArg(scope)
}
