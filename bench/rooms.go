package main

import "time"

// manyRooms is the number of rooms of a person with many rooms.
const manyRooms = 100

// measureRooms puts people in one room, and then in many, and measures a session's memory and the cost of a delivery in
// the room they view. A quarter of the sessions is enough: each room's history is sealed to all of its members.
func measureRooms(b *bench, t target) error {
	o := b.options
	o.sessions = max(1, b.sessions/4)
	people, err := newCast(o)
	if err != nil {
		return err
	}
	var cost [2]float64
	for i, rooms := range []int{1, manyRooms} {
		b.say("rooms: %d sessions of %s, each in %d", o.sessions, t.name, rooms)
		t.rooms = rooms
		if cost[i], err = b.inRooms(t, people, [2]string{"room", "rooms"}[i]); err != nil {
			return err
		}
	}
	b.table.set("rooms-ratio", t.name, cost[1]/cost[0])
	return nil
}

// inRooms measures one crowd, writes its figures down under keys with this prefix, and returns what a delivery costs.
func (b *bench) inRooms(t target, people *cast, prefix string) (cost float64, err error) {
	c, err := startCrowd(b.programs, t, people)
	if err != nil {
		return 0, err
	}
	defer func() { b.failed(t, c.end()) }()
	time.Sleep(settle) // the history gets ready for the rooms
	empty, err := c.stand()
	if err != nil {
		return 0, err
	}
	if _, err := c.come(b.workers); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	full, err := c.stand()
	if err != nil {
		return 0, err
	}
	n := float64(len(people.readers))
	b.table.set(prefix+"-rss", t.name, (full.resident-empty.resident)/n/1024)
	b.table.set(prefix+"-heap", t.name, (full.Heap-empty.Heap)/n/1024)
	if cost, err = b.costIn(c); err != nil {
		return 0, err
	}
	b.table.set(prefix+"-cpu", t.name, cost)
	return cost, nil
}
