package chat

import (
	"testing"
	"time"
)

// What is over for good is judged by the time that is believed; what began while the clock was not believed, by that clock.
func TestMomentEnded(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	right := func(at time.Time) Moment { return Moment{Wall: at, Trusted: at, Latest: at, Stamp: at} }
	ahead := func(ran time.Duration) Moment { // a clock that has stepped ahead by 90 days, and has run on for so long
		at := noon.Add(ran)
		return Moment{Wall: at.Add(90 * day), Trusted: at, Latest: at, Stamp: at.Add(90 * day)}
	}
	ban := noon.Add(7 * day)
	if right(noon).Ended(noon, ban) {
		t.Error("it has just begun")
	}
	if ahead(0).Ended(noon, ban) {
		t.Error("a clock that is wrong ends it")
	}
	// What is decided by that clock ends by it.
	began := ahead(0).Wall
	if at := ahead(time.Hour); at.Ended(began, began.Add(2*time.Hour)) || !at.Ended(began, began.Add(time.Hour)) {
		t.Error("what began while the clock was not believed does not end by it")
	}
	if right(noon.Add(time.Hour)).Ended(noon, ban) {
		t.Error("the clock is right, and it is over")
	}
	if !right(noon.Add(7*day+time.Hour)).Ended(noon, ban) {
		t.Error("it is not over")
	}
	behind := Moment{Wall: noon.AddDate(-20, 0, 0), Trusted: noon.AddDate(-20, 0, 0), Latest: noon, Stamp: noon}
	if until := behind.lasting(behind.Wall.Add(time.Hour)); !until.Equal(noon.Add(time.Hour)) || right(noon).Ended(behind.second(), until) {
		t.Errorf("an hour by a clock that is behind lasts until %v", until)
	}
}
