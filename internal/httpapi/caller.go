package httpapi

import (
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/internal/apikey"
)

// caller is somebody with a key.
type caller struct {
	apikey.Key
	limiter *rate.Limiter // nil: no limit
	now     func() time.Time
}

// newCallers gives each key its rate. A burst is at least a whole batch.
func newCallers(keys []apikey.Key, perSecond int, now func() time.Time) (all []*caller) {
	for _, k := range keys {
		c := &caller{Key: k, now: now}
		if perSecond > 0 {
			c.limiter = rate.NewLimiter(rate.Limit(perSecond), max(perSecond, maxLines))
		}
		all = append(all, c)
	}
	return all
}

// may refuses an action that the key isn't for.
func (c *caller) may(a *action) *problem {
	switch {
	case !c.MayDo(a.operation):
		return newProblem("forbidden", fmt.Sprintf("the key %s may not use %s", c.Name, a.operation))
	case !c.MayReach(a.namespace):
		return newProblem("forbidden", fmt.Sprintf("the key %s may not use this namespace", c.Name)).at("/namespace")
	}
	return nil
}

// take takes an action out of the key's rate.
func (c *caller) take() *problem {
	if c.limiter == nil || c.limiter.AllowN(c.now(), 1) {
		return nil
	}
	fault := newProblem("too-many", fmt.Sprintf("the key %s may do %.0f actions per second", c.Name, float64(c.limiter.Limit())))
	fault.retry, fault.Outcome = time.Second, notSent
	return fault
}
