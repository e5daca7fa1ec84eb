package inspect

import "context"

// None is a Source without facts. A Source that has only some kinds of facts embeds it.
type None struct{}

var _ Source = None{}

func (None) Samples(context.Context) ([]Sample, error)       { return nil, nil }
func (None) History(context.Context) ([]Point, error)        { return nil, nil }
func (None) Namespaces(context.Context) ([]Namespace, error) { return nil, nil }

func (None) Rooms(context.Context, Query) (Page[Room], error)         { return Page[Room]{}, nil }
func (None) Clients(context.Context, Query) (Page[Client], error)     { return Page[Client]{}, nil }
func (None) Ended(context.Context, Query) (Page[Ended], error)        { return Page[Ended]{}, nil }
func (None) Decisions(context.Context, Query) (Page[Decision], error) { return Page[Decision]{}, nil }

// Tap returns at once: nothing passes here.
func (None) Tap(context.Context, Query, func(Event)) error { return nil }
