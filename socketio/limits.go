package socketio

import "fmt"

// limitError reports that a client exceeded a limit, for which the server closes its connection.
type limitError struct {
	kind  string // of the violation
	limit string // the field of Config
	most  any    // its value
	seen  any    // in the unit of the limit; nil if it has none, as the limit of a time
}

func (e *limitError) Error() string {
	if e.seen == nil {
		return fmt.Sprintf("socketio: Config.%s (%v) has passed", e.limit, e.most)
	}
	return fmt.Sprintf("socketio: %v exceeds Config.%s (%v)", e.seen, e.limit, e.most)
}

// The limits that close a connection. Their fields are filled at the violation.
const (
	limitAttachments = "MaxAttachments"
	limitNamespaces  = "MaxNamespaces"
	limitPending     = "MaxPendingBytes"
	limitPartial     = "MaxPartialBytes"
	limitEvents      = "MaxEventsPerSecond"
	limitRooms       = "MaxRooms"
	limitAttachment  = "AttachmentTimeout"
	limitConnect     = "ConnectTimeout"
)

// limitsOf lists the limits by the kind of violation.
var limitsOf = map[string][]string{
	violationMalformed: {""},
	violationState:     {""},
	violationLimit:     {limitAttachments, limitNamespaces, limitPending},
	violationRate:      {limitEvents},
	violationRooms:     {limitRooms},
	violationSlow:      {limitAttachment, limitPartial},
	violationTimeout:   {limitConnect},
}
