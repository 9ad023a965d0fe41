package limit

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// What comes at once goes together, once, in its order, while what came before is on its way; a source that only this server has is not
// told, and a flood waits in bounded memory.
func TestTeller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls, events int
		slow := time.Duration(0)
		teller := NewTeller(func(b []byte) {
			time.Sleep(slow)
			all, err := ReadTold(b)
			if err != nil {
				t.Error(err)
			}
			for _, told := range all {
				if want := SourceOfAddr(netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", events%256))); slow == 0 && (Source(told.Source) != want || told.Event != Offended || told.Offence != NoAuth) {
					t.Errorf("event %d is %+v", events, told)
				}
				events++
			}
			calls++
		})
		tell := func(i int) {
			teller.Tell(Told{Event: Offended, Source: netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", i%256)), Offence: NoAuth})
		}
		for i := range 300 {
			tell(i)
		}
		teller.Tell(Told{Event: Spared, Source: netip.Prefix(Unix)})
		teller.Tell(Told{Event: Spared})
		time.Sleep(time.Second)
		synctest.Wait()
		if calls != 1 || events != 300 {
			t.Errorf("%d calls, %d events", calls, events)
		}
		slow, events, calls = time.Minute, 0, 0
		tell(0)
		time.Sleep(time.Second)
		synctest.Wait()
		for i := range 3 * mostToTell {
			tell(i)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if calls != 2 || events != mostToTell+1 {
			t.Errorf("a flood: %d calls, %d events", calls, events)
		}
	})
	(*Teller)(nil).Tell(Told{Event: Spared, Source: netip.MustParsePrefix("192.0.2.1/32")}) // of a server that is alone
}

// Whatever another server tells, it is refused, or can be counted.
func FuzzReadTold(f *testing.F) {
	all := []Told{{Event: Offended, Source: netip.MustParsePrefix("2001:db8::/64"), Offence: GraceExceeded}, {Event: Notified, Name: testName(f, "alice")}, {Event: "of a newer version"}}
	b, err := json.Marshal(all)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`[{"event":"offended","source":"192.0.2.1/32","offence":3}]`))
	f.Add([]byte(`[{"event":"offended","source":"192.0.2.1/24"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ReadTold(b)
		if err != nil {
			return
		}
		p := NewPenalties(time.Now)
		for _, told := range all {
			if told.Event == Offended {
				p.Add(Source(told.Source), told.Offence)
			}
		}
	})
}
