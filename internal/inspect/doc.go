// Package inspect answers what operators ask about a process: how busy it is, which clients and
// rooms it has, how sessions ended, and what passes right now (ADR 0048).
//
// The types of this package are the JSON that processes, hosts and commands exchange. Their fields
// only ever grow: a host of another version ignores what it doesn't know.
//
// A process serves its [Source] over HTTP on its admin socket or port. Query's fields are the
// parameters, with the names of their JSON.
//
//	GET /inspect/samples, /inspect/history, /inspect/namespaces        JSON lists
//	GET /inspect/rooms, /clients, /ended, /decisions (below /inspect)  a Page
//	GET /inspect/tap                                                   Events, one JSON object a line
package inspect
