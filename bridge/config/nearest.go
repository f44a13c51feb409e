package config

import (
	"iter"
	"slices"
	"strings"
)

// nearest is the word that was probably meant, if it is one of these; empty when none is near.
func nearest(word string, of iter.Seq[string]) (meant string) {
	least := max(1, min(len(word)/3, 3)) + 1
	for _, w := range slices.Sorted(of) {
		if d := distance(strings.ToLower(word), w); d < least {
			meant, least = w, d
		}
	}
	return meant
}

// distance is how many letters must be put in, left out, changed or swapped with the next to make b of a.
func distance(a, b string) int {
	before, last, row := []int(nil), []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
