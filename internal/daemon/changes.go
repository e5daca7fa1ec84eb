package daemon

import "github.com/sidereal-io/sidereal/internal/supervisor"

// changes tells from one look at the processes to the next what has happened to them, in the words
// of PM2's bus.
type changes struct {
	last    map[int]Process
	awaited map[int]string // what a command did to a process, to be told once it has come up
}

// lookedAt is a process of a look.
type lookedAt struct {
	Process
	end *supervisor.Exit // its last; nil: none yet
}

// look compares the processes with those of the look before. The first look tells nothing.
func (c *changes) look(now []lookedAt) (events []BusEvent) {
	first := c.last == nil
	before := c.last
	c.last = make(map[int]Process, len(now))
	if first {
		c.awaited = map[int]string{}
	}
	for _, p := range now {
		c.last[p.ID] = p.Process
		if old, listed := before[p.ID]; !first {
			events = append(events, c.changed(old, listed, p)...)
		}
	}
	for id, old := range before {
		if _, listed := c.last[id]; !listed {
			delete(c.awaited, id)
			events = append(events, ended(old, old.PID != 0)...)
			old.Status = Stopped
			events = append(events, BusEvent{Change: "delete", Manual: true, Process: old})
		}
	}
	return events
}

// changed tells what has happened to one process.
func (c *changes) changed(old Process, listed bool, p lookedAt) []BusEvent {
	events := ended(p.Process, old.PID != 0 && old.PID != p.PID)
	anew := old.PID != p.PID || old.Status != p.Status
	if p.Status == Online && anew {
		events = append(events, BusEvent{Change: "online", Process: p.Process})
	}
	switch {
	case !listed:
		c.awaited[p.ID] = "start"
	case !old.ReloadedAt.Equal(p.ReloadedAt):
		c.awaited[p.ID] = "reload"
	case !old.Created.Equal(p.Created):
		c.awaited[p.ID] = "restart"
	}
	if what := c.awaited[p.ID]; what != "" && p.Status == Online {
		delete(c.awaited, p.ID)
		events = append(events, BusEvent{Change: what, Manual: true, Process: p.Process})
	}
	switch {
	case !anew:
	case p.Status == Errored:
		events = append(events, BusEvent{Change: "restart overlimit", Process: p.Process})
	case p.Status == Stopped && p.end != nil && p.end.Planned:
		events = append(events, BusEvent{Change: "stop", Manual: true, Process: p.Process})
	}
	return events
}

// ended tells the end of a process that was there.
func ended(p Process, has bool) []BusEvent {
	if !has {
		return nil
	}
	p.Status = Stopped // a successor may run already
	return []BusEvent{{Change: "exit", Process: p}}
}
