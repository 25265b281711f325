// Package check is what stands between a configuration and a start.
//
// # What it does
//
// [All] is asked by serve and by `toastmaster config check`: first the files that the
// configuration names ([Files]), then the parts of the instance. [Warnings] is what serves, but not as somebody may think.
// [BusyPorts] is what has the ports of the next start. [DescriptorsFor] is how many
// connections the limit of the process has room for.
//
// # What it does not do
//
// It makes and changes nothing, and opens no listener but to see whether that could be done.
//
// # Results
//
// A mistake is a usage error with parameter, file and line; the first one only.
package check
