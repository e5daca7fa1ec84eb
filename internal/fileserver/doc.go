// Package fileserver serves a folder over HTTP, as PM2's serve does: single page apps, basic
// authentication, 404.html.
//
// It serves regular files below the folder, and the homepage for "/". It lists no folder, follows
// no link out of the folder, and refuses names that begin with a dot, except .well-known. It opens
// the folder anew for each request, so a deployment may replace the folder, or the link that leads
// to it.
package fileserver
