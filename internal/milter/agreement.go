package milter

// Agreement is what a filter answers to Negotiate.
type Agreement struct {
	Version uint32
	Actions Actions
	Steps   Steps
	// Macros are the names that it wants at a stage, in the place of the usual ones; "" leaves them.
	Macros [stages]string
}

// ParseAgreement reads the data of the answer. A stage that there is not is left out.
func ParseAgreement(data []byte) (a Agreement, ok bool) {
	var n [3]uint32
	for i := range n {
		if n[i], data, ok = CutNumber(data); !ok {
			return a, false
		}
	}
	a.Version, a.Actions, a.Steps = n[0], Actions(n[1]), Steps(n[2])
	for len(data) > 0 {
		stage, rest, ok := CutNumber(data)
		if !ok {
			return a, false
		}
		names, rest, ok := Cut(rest)
		if !ok {
			return a, false
		}
		if stage < uint32(stages) {
			a.Macros[stage] = names
		}
		data = rest
	}
	return a, true
}

// Append is the data of such an answer.
func (a Agreement) Append(b []byte) []byte {
	b = append(b, Numbers(a.Version, uint32(a.Actions), uint32(a.Steps))...)
	for stage, names := range a.Macros {
		if names != "" {
			b = append(append(b, Numbers(uint32(stage))...), Strings(names)...)
		}
	}
	return b
}
