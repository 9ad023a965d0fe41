package strength

import (
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/data"
)

// Each thing that is easy to guess is found where it stands, and makes the password easier than its length does.
func TestWhatIsFound(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]int{
		"":                  0,
		"password":          0,
		"p4ssw0rd":          0,
		"pa$$w0rd":          0,
		"qwertyuiop":        0,
		"zxcvfdsaqwer":      1, // keys, with turns
		"aaaaaaaaaaaaaaaaa": 0,
		"abcdefghijklmnop":  0,
		"zyxwvutsrqponm":    0,
		"9876543210":        0,
		"26.11.2026":        0,
		"2026-11-26":        0,
		"26112026":          0,
		"alicesmith":        0, // names
		"zora-7fk":          0, // known
		"xk9#mq2$vl7!pr4":   4,
		"seven olive lamps": 4,
	} {
		if got := Score(password, []string{"chat", "Zora-7fk"}); got != want {
			t.Errorf("%q has score %d, not %d", password, got, want)
		}
	}
	for _, part := range []string{"qwertyuiop", "aaaaaaaaaa", "abcdefghij", "9876543210", "26.11.2026", "2611202611", "jonathan", "p4ssw0rd", "wertzuiop"} {
		for _, around := range [][2]string{{"", "kx"}, {"kx", ""}, {"k", "q"}, {"é", ""}} {
			with := Score(around[0]+part+around[1], nil)
			noise := Score(around[0]+"kq0wjx7vnr"[:len(part)]+around[1], nil)
			if with >= noise {
				t.Errorf("%q, %q, %q: score %d, and %d with nothing to find", around[0], part, around[1], with, noise)
			}
		}
	}
}

// What zxcvbn-go says of the same passwords is not less, but where it counts one character more to a date than there is.
func TestScoreIsZxcvbns(t *testing.T) {
	t.Parallel()
	list := func(name string) []string {
		var l struct{ List []string }
		text, err := data.Asset("data/" + name + ".json")
		if err != nil || json.Unmarshal(text, &l) != nil {
			t.Fatal(name, err)
		}
		return l.List
	}
	words, passwords, names := list("English"), list("Passwords"), list("Surnames")
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	signs := strings.NewReplacer("a", "4", "e", "3", "o", "0", "s", "$")
	same, all := 0, 0
	for i := range 200 {
		parts := []string{pick(words), pick(passwords), pick(names), pick([]string{"qwer", "!QAZ", "aaaa", "cdef", "8765", " ", "-", "X", "kq0"})}
		r.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
		password := strings.Join(parts[:1+i%4], "")
		if i%3 == 0 {
			password = signs.Replace(password)
		}
		got, want := Score(password, parts[:1]), zxcvbn.PasswordStrength(password, parts[:1]).Score
		if got > want {
			t.Errorf("%q has score %d, and zxcvbn-go gives it %d", password, got, want)
		}
		if all++; got == want {
			same++
		}
	}
	if same < all*3/4 {
		t.Errorf("only %d of %d scores are the same", same, all)
	}
}

// What takes a tenth of a second when a process starts is not linked in.
func TestNothingIsReadAtTheStart(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "sshchat/cmd/sshchat").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Fields(string(out))
	if !slices.Contains(lines, "sshchat/store/accounts/strength") {
		t.Error("the server does not have this package")
	}
	for _, slow := range []string{"github.com/ccojocar/zxcvbn-go", "github.com/ccojocar/zxcvbn-go/frequency", "github.com/ccojocar/zxcvbn-go/matching"} {
		if slices.Contains(lines, slow) {
			t.Errorf("the server has %s, which reads its lists when a process starts", slow)
		}
	}
}

func FuzzScore(f *testing.F) {
	for _, s := range []string{"", "p4ssw0rd", "1qaz2wsx", "26.11.2026", "İİİ", "éé\xff", "aaa", "\u0130abc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := Score(s[:min(len(s), 100)], []string{s}); got < 0 || got > 4 {
			t.Errorf("%q has score %d", s, got)
		}
	})
}
