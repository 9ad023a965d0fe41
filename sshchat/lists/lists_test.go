package lists_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"sshchat/sshchat/lists"
)

// large is about what is sorted: a row of a list that somebody asked for.
type large struct {
	key, place int
	_          [200]byte
}

func byKey(a, b large) int { return cmp.Compare(a.key, b.key) }

func some(n int) []large {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	list := make([]large, n)
	for i := range list {
		list[i] = large{key: random.IntN(n/2 + 1), place: i}
	}
	return list
}

// It orders as slices.SortStableFunc does: what is equal keeps its order.
func TestSort(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 12, 13, 100, 1000} {
		got := some(n)
		want := slices.Clone(got)
		lists.Sort(got, byKey)
		slices.SortStableFunc(want, byKey)
		if !slices.Equal(got, want) {
			t.Errorf("%d of them are not in order", n)
		}
	}
}

func BenchmarkSort(b *testing.B) {
	list, again := some(1000), make([]large, 1000)
	for _, by := range []struct {
		name string
		sort func([]large, func(a, b large) int)
	}{{"lists", lists.Sort[large]}, {"slices", slices.SortFunc[[]large]}} {
		b.Run(by.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				copy(again, list)
				by.sort(again, byKey)
			}
		})
	}
}
