package adapter

import "context"

// Wait returns when this process hears all other servers, or with ctx's error.
func (r *Redis) Wait(ctx context.Context) error { return r.sub.Wait(ctx) }
