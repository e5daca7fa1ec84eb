package adapter

import "github.com/sidereal-io/sidereal/adapter/internal/link"

// Group is a set of adapters in one process whose servers reach each other without Redis. Over
// Redis they don't hear, ask or count each other. Its zero value is empty and ready. It is safe for
// concurrent use.
type Group struct{ members link.Group }
