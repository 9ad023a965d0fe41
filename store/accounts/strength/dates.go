package strength

import (
	"regexp"
	"strconv"

	"github.com/ccojocar/zxcvbn-go/entropy"
	"github.com/ccojocar/zxcvbn-go/match"
)

var (
	parted = regexp.MustCompile(`(\d{1,4})([-\s/\\_.])(\d{1,2})[-\s/\\_.](\d{1,4})`)
	digits = regexp.MustCompile(`\d{4,}`)
)

// dates are the parts that are a day, with or without signs between its numbers.
func dates(password string) (found []match.Match) {
	add := func(i, j int, year int64, separator string) {
		m := match.Match{Pattern: "date", I: i, J: j - 1, Token: password[i:j]}
		m.Entropy = entropy.DateEntropy(match.DateMatch{Year: year, Separator: separator})
		found = append(found, m)
	}
	for _, at := range parted.FindAllStringSubmatchIndex(password, -1) {
		part := func(n int) string { return password[at[2*n]:at[2*n+1]] }
		if year, ok := day(part(1), part(3), part(4)); ok {
			add(at[0], at[1], year, part(2))
		}
	}
	for _, at := range digits.FindAllStringIndex(password, -1) {
		for i := at[0]; i < at[1]; i++ {
			for j := i + 4; j <= min(i+8, at[1]); j++ {
				if year, ok := together(password[i:j]); ok {
					add(i, j, year, "")
				}
			}
		}
	}
	return found
}

// together reads digits as a day, if they can be one.
func together(s string) (year int64, ok bool) {
	for first := 1; first <= 4; first++ {
		for second := first + 1; second <= first+2 && second < len(s); second++ {
			if year, ok := day(s[:first], s[first:second], s[second:]); ok {
				return year, true
			}
		}
	}
	return 0, false
}

// day reads three numbers as day, month and year, in any order that people use. A year has two digits or four.
func day(a, b, c string) (year int64, ok bool) {
	for _, order := range [][3]string{{a, b, c}, {c, b, a}} {
		one, other, last := order[0], order[1], order[2]
		if len(one) > 2 || len(other) > 2 || len(last) != 2 && len(last) != 4 {
			continue
		}
		x, _ := strconv.Atoi(one) // digits, as is each
		y, _ := strconv.Atoi(other)
		year, _ := strconv.ParseInt(last, 10, 64)
		if low, high := min(x, y), max(x, y); low >= 1 && low <= 12 && high <= 31 && (year < 100 || year >= 1900 && year < 2100) {
			return year, true
		}
	}
	return 0, false
}
