package seeds

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Run runs f for the seeds 1 to n, one after the other.
func Run(t *testing.T, n int, f func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	first := number(t, "TOASTMASTER_SEED", 0)
	if first > 0 {
		n = 1
	} else {
		first, n = 1, int(number(t, "TOASTMASTER_SEEDS", uint64(n)))
	}
	for seed := first; seed < first+uint64(n) && !t.Failed(); seed++ {
		t.Run("TOASTMASTER_SEED="+strconv.FormatUint(seed, 10), func(t *testing.T) {
			f(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}
