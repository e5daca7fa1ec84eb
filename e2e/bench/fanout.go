//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
)

// say makes the arguments of a say: to everybody, or to a room.
func say(size int, room string) string {
	msg := strings.Repeat("x", size)
	if room == "" {
		return fmt.Sprintf(`["say",{"msg":"%s"}]`, msg)
	}
	return fmt.Sprintf(`["say",{"room":"%s","msg":"%s"}]`, room, msg)
}

// fanOut is one client that tells everybody, and waits until everybody knows.
type fanOut struct {
	*swarm
	args  string
	emits int
}

func prepareFanOut(ctx context.Context, s *system, o options) (load, error) {
	swarm, err := open(ctx, s.entries, 1000, false, nil)
	return &fanOut{swarm, say(128, ""), pick(o.quick, 10, 30)}, err
}

func prepareDeflate(ctx context.Context, s *system, o options) (load, error) {
	swarm, err := open(ctx, s.entries, 200, true, nil)
	return &fanOut{swarm, say(2048, ""), pick(o.quick, 20, 60)}, err
}

func (f *fanOut) round(ctx context.Context) (units, lost int, err error) {
	for range f.emits {
		f.tally.expect(len(f.clients) + 1) // and the ack
		if err := f.clients[0].ask(f.args); err != nil {
			return 0, 0, err
		}
		lost += f.tally.wait(ctx)
	}
	return f.emits * len(f.clients), lost, nil
}

const (
	rooms    = 100
	roomSize = 10
)

// roomTalk is rooms in which one client each tells the others something, again as soon as it has
// its ack.
type roomTalk struct {
	*swarm
	rooms, emits int
}

func prepareRooms(ctx context.Context, s *system, o options) (load, error) {
	args := map[*client]string{}
	swarm, err := openRooms(ctx, s, func(c *client) { _ = c.ask(args[c]) })
	if err != nil {
		return nil, err
	}
	for i, c := range swarm.clients[:rooms] {
		args[c] = sayInRoom(i)
	}
	return &roomTalk{swarm, rooms, pick(o.quick, 10, 30)}, nil
}

func prepareRoomsOpen(ctx context.Context, s *system, o options) (load, error) {
	swarm, err := openRooms(ctx, s, nil)
	if err != nil {
		return nil, err
	}
	var args [rooms]string
	for i := range args {
		args[i] = sayInRoom(i)
	}
	send := func(i int) error { return swarm.clients[i%rooms].ask(args[i%rooms]) }
	return &openLoop{swarm, pick(o.quick, slowRate/2, 2*slowRate), slowRate, roomSize + 1, roomSize, send}, nil
}

func sayInRoom(i int) string { return say(128, fmt.Sprintf("r%d", i)) }

// openRooms opens clients in rooms: the first ones in one room each.
func openRooms(ctx context.Context, s *system, again func(*client)) (*swarm, error) {
	swarm, err := open(ctx, s.entries, rooms*roomSize, false, again)
	if err != nil {
		return nil, err
	}
	if _, err := swarm.ask(ctx, func(i int) string { return fmt.Sprintf(`["join","r%d"]`, i%rooms) }); err != nil {
		swarm.close()
		return nil, err
	}
	return swarm, nil
}

func (r *roomTalk) round(ctx context.Context) (units, lost int, err error) {
	r.tally.expect(r.rooms * r.emits * (roomSize + 1))
	for _, c := range r.clients[:r.rooms] {
		c.left.Store(int64(r.emits - 1))
		c.again(c)
	}
	return r.rooms * r.emits * roomSize, r.tally.wait(ctx), nil
}

const burstSize = 200

func prepareBurst(ctx context.Context, s *system, o options) (load, error) {
	args := fmt.Sprintf(`["burst",%d]`, burstSize)
	l, err := newClosedLoop(ctx, s, 20, pick(o.quick, 5, 25), burstSize+1, func(c *client) { _ = c.ask(args) })
	return bursts{l}, err
}

type bursts struct{ *closedLoop }

func (b bursts) round(ctx context.Context) (units, lost int, err error) {
	units, lost, err = b.closedLoop.round(ctx)
	return units * burstSize, lost, err
}
