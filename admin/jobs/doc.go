// Package jobs does long work of the administration in the background.
//
// # What it does
//
// A [Runner] does the jobs that admin/store keeps, oldest first, at most
// Options.Workers at once. Each kind of job is a [Func]. How far it is is written
// down every second (admin/store.SaveJob), and told by [Runner.Job] at any time.
//
// A job outlives the request that asked for it, and a restart: what was running
// when the service ended begins anew with the next start. So a Func is made of steps
// that can be repeated, looks for what is left to do, and looks at its context
// between two steps. A job is cancelled by its context; what was done stays done.
//
// # What it does not do
//
// It does not know the work (admin/api does), nor who may ask for it.
//
// # Results
//
// A job is done when its Func returned nil and no single thing failed; it has
// failed otherwise, with the reason, or the first failures. A Func that panics has
// failed, and so has a job about which the Runner panics.
//
// # Parameters
//
// admin.max_jobs, admin.job_workers, admin.job_history.
package jobs
