// Package metrics measures an instance when somebody asks.
//
// # What it does
//
// [Queue] counts messages by place; [Of] says whether services run, how much room there is on the
// disks, and when certificates end. [Register] puts collectors into a registry, each in a fence: a
// registry collects in goroutines of its own, and a panic in one would end the process.
//
// # What it does not do
//
// The events of mail are counted by internal/msglog.
package metrics
