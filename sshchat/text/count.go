package text

import "strconv"

// Count is a number with its noun: "1 key", "2 keys". The plural must end in s.
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// Are is Count with the verb that follows: "1 line is", "2 lines are".
func Are(n int, thing string) string {
	if n == 1 {
		return Count(n, thing) + " is"
	}
	return Count(n, thing) + " are"
}
