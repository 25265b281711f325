// Package web is the panel, built into the binary: files that a browser loads
// and that talk to the admin API under /api/v1 and to nothing else.
//
// # Files
//
// static/index.html, panel.css and panel.js are embedded as they are. There is
// no build step, so that Go alone builds the program.
//
// # What it does
//
// One page shows the running services, their listeners, connections and
// uptime, the counts of the queue and of the hosted data. It asks for a token
// and keeps it in the browser's sessionStorage: gone with the tab, never in a
// cookie, so no foreign page can use it. One sentence above says whether all is
// well. When the server does not answer, what is shown stays, marked as old. It
// is light or dark as the browser is, and on a phone a service is a block of
// lines instead of a row.
//
// # Results
//
// Each file has an ETag of its content; a browser asks again and gets 304. The
// Content-Security-Policy that admin/api sends allows no inline script or
// style and no other host; the files keep to that.
package web
