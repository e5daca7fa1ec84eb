package socketio

import "github.com/sidereal-io/sidereal/internal/notice"

// notices are the kinds of lines that clients can cause.
type notices struct {
	failures   *notice.Notice // of handlers
	panics     *notice.Notice
	recoveries *notice.Notice // that failed
	refusals   *notice.Notice // by middlewares and namespaces that failed
	unencoded  *notice.Notice // handshakes that an app changed
	limits     *notice.Notice // that closed a connection
	oversize   *notice.Notice // messages that recovery can't keep
}

func newNotices() notices {
	return notices{notice.New(), notice.New(), notice.New(), notice.New(), notice.New(), notice.New(), notice.New()}
}
