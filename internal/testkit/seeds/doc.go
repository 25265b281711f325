// Package seeds runs a test that is made of chance once for each of a number of
// seeds, the same ones each time, so that a failure can be seen again:
//
//	seeds.Run(t, 20, func(t *testing.T, r *rand.Rand) { ... })
//
// The name of each subtest, and so every failure, has its seed. The environment
// says how many: TOASTMASTER_SEEDS=5000 runs the first 5000 instead,
// TOASTMASTER_SEED=17 that one alone.
package seeds
