// Package dashboard is the page at a host's admin address: the whole cluster, live, and what an
// operator may do about it.
//
// A [Dashboard] asks one [inspect.Source] every two seconds, for all its viewers together, and only
// while there are any. Viewers get the answer as server-sent events. Lists, such as rooms and
// clients, are asked for by each page as it shows them.
//
//	GET /                                     the page
//	GET /dashboard/…                          its files
//	GET /dashboard/live                       server-sent events: history, now
//	GET /dashboard/namespaces, …/rooms, …/clients, …/ended    JSON
//	GET /dashboard/tap                        server-sent events: what passes at a client
//	POST /dashboard/act                       an [Action], with the key
//
// Everybody who reaches the admin address may look. Actions need a key of at least 16 characters,
// in the header Authorization, and a page of the same origin.
package dashboard
