// Package storetest opens a store of hosted data on a database of its own, for the
// tests of admin/store and of those who use it. Nothing but tests imports it.
package storetest
