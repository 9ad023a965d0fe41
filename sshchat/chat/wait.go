package chat

import (
	"context"
	"reflect"
)

// Wait blocks until one of the signals can be received or ctx ends, and returns which. A nil signal is never received.
// A session in a few rooms is the common case, so it is spelled out as one select; more signals take the slower general way.
func Wait(ctx context.Context, signals ...<-chan struct{}) (fired int, err error) {
	const few = 16
	if len(signals) > few {
		return waitMany(ctx, signals)
	}
	var s [few]<-chan struct{} // a nil channel never fires
	copy(s[:], signals)
	select {
	case <-s[0]:
		return 0, nil
	case <-s[1]:
		return 1, nil
	case <-s[2]:
		return 2, nil
	case <-s[3]:
		return 3, nil
	case <-s[4]:
		return 4, nil
	case <-s[5]:
		return 5, nil
	case <-s[6]:
		return 6, nil
	case <-s[7]:
		return 7, nil
	case <-s[8]:
		return 8, nil
	case <-s[9]:
		return 9, nil
	case <-s[10]:
		return 10, nil
	case <-s[11]:
		return 11, nil
	case <-s[12]:
		return 12, nil
	case <-s[13]:
		return 13, nil
	case <-s[14]:
		return 14, nil
	case <-s[15]:
		return 15, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func waitMany(ctx context.Context, signals []<-chan struct{}) (int, error) {
	cases := make([]reflect.SelectCase, 0, len(signals)+1)
	for _, s := range signals {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(s)})
	}
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())})
	fired, _, _ := reflect.Select(cases)
	if fired == len(signals) {
		return 0, ctx.Err()
	}
	return fired, nil
}
