package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// tolerated is how far the medians may lie apart.
const tolerated = 2 * time.Millisecond

// A connection takes 20 tries to log in; the first is the server's to begin with.
const triesOfConnection = 16

// measureNames times wrong passwords for names of every kind, in turns, so that whatever else the machine does hits all
// alike. Penalties are off, since one source does all of it; the count of each name is on: the locked one is locked.
func measureNames(program, folder string, tries int, floor time.Duration) error {
	s, err := start(program, folder, "--registration=closed", "--per-source-penalties=false", "--max-password-tries=1000000", "--fail-delay="+floor.String(), "--max-password-failures=5")
	if err != nil {
		return err
	}
	defer s.stop()
	key, err := newSigner()
	if err != nil {
		return err
	}
	password, err := s.account("known", nil)
	if err != nil {
		return err
	}
	if _, err := s.account("locked", nil); err != nil {
		return err
	}
	if _, err := s.account("keyonly", key); err != nil {
		return err
	}
	// Passwords from a known source are checked whatever the count.
	for name, auth := range map[string]ssh.AuthMethod{"known": ssh.Password(password), "keyonly": ssh.PublicKeys(key)} {
		c, err := s.dial("127.0.0.1", name, auth)
		if err != nil {
			return fmt.Errorf("log in as %s: %w", name, err)
		}
		c.Close()
	}
	kinds := []string{"known", "locked", "keyonly", "unknown"}
	times := map[string][]time.Duration{}
	if _, err := s.guess("locked", triesOfConnection); err != nil { // and so it is
		return err
	}
	for len(times["unknown"]) < tries {
		for _, name := range kinds {
			took, err := s.guess(name, min(triesOfConnection, tries-len(times[name])))
			if err != nil {
				return err
			}
			times[name] = append(times[name], took...)
		}
	}
	return tellNames(kinds, times, floor)
}

// guess tries wrong passwords in one connection, and returns how long each answer took.
func (s *server) guess(name string, n int) (took []time.Duration, err error) {
	var asked time.Time
	left := errors.New("enough")
	_, err = s.dial("127.0.0.1", name, ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
		if !asked.IsZero() {
			took = append(took, time.Since(asked))
		}
		if len(took) == n {
			return "", left
		}
		asked = time.Now()
		return "a wrong but long enough one", nil
	}), n+1))
	if err == nil {
		return nil, fmt.Errorf("in as %s by a wrong password", name)
	}
	if len(took) < n {
		return nil, fmt.Errorf("%s: %d answers of %d: %w", name, len(took), n, err)
	}
	return took, nil
}

func tellNames(kinds []string, times map[string][]time.Duration, floor time.Duration) error {
	fmt.Printf("wrong passwords, %d for each kind of name, --fail-delay %v, registration closed\n\n", len(times[kinds[0]]), floor)
	fmt.Println("| name | median ms | quartiles ms |\n|---|---|---|")
	var medians []time.Duration
	for _, name := range kinds {
		q := quartiles(times[name])
		medians = append(medians, q[1])
		fmt.Printf("| %s | %.2f | %.2f to %.2f |\n", name, ms(q[1]), ms(q[0]), ms(q[2]))
	}
	apart := slices.Max(medians) - slices.Min(medians)
	fmt.Printf("\nthe medians lie %.2f ms apart; 2 ms may be: %s\n\n", ms(apart), met(apart <= tolerated))
	return nil
}

// quartiles are the first, the median and the third.
func quartiles(times []time.Duration) [3]time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	at := func(part int) time.Duration { return sorted[part*(len(sorted)-1)/4] }
	return [3]time.Duration{at(1), at(2), at(3)}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "NOT met"
}
