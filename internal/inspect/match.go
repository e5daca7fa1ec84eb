package inspect

import (
	"net"
	"slices"
	"strings"
)

// shownSID is how much of a sid the answers show. The whole would let a reader use the session.
const shownSID = 12

// ShownSID returns the part of a sid that the answers show.
func ShownSID(sid string) string { return sid[:min(len(sid), shownSID)] }

// MatchesID reports whether Query.ID selects one of ids, which may be as short as answers show sids.
func (q Query) MatchesID(ids ...string) bool {
	if q.ID == "" {
		return true
	}
	return len(q.ID) >= minID && slices.ContainsFunc(ids, func(id string) bool {
		return strings.HasPrefix(id, q.ID) || len(id) == shownSID && strings.HasPrefix(q.ID, id)
	})
}

// MatchesAddress reports whether Query.Address selects a client at addr, which is ip:port.
func (q Query) MatchesAddress(addr string) bool {
	if q.Address == "" || q.Address == addr {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	return err == nil && host == q.Address
}
