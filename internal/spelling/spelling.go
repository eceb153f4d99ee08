// Package spelling suggests valid words for an unknown one.
package spelling

import (
	"fmt"
	"slices"
	"strings"
)

// distance returns the optimal string alignment distance: how many letters must be inserted,
// deleted, changed or swapped with their neighbour to turn one word into the other.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row[0] = i + 1
		for j := range t {
			change := last[j]
			if s[i] != t[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}

// Nearest returns the valid words that are similar to word, the most similar first. It
// ignores case, "-" and "_".
func Nearest(word string, valid []string) []string {
	const longest = 200 // comparing longer words takes too long
	if word == "" || len(word) > longest {
		return nil
	}
	type near struct {
		word string
		far  int
	}
	var found []near
	w := plain(word)
	for _, v := range valid {
		p := plain(v)
		if len(p) > longest {
			continue
		}
		far := distance(w, p)
		if far <= max(1, max(len(w), len(p))/3) || (len(w) >= 3 && strings.HasPrefix(p, w)) {
			found = append(found, near{v, far})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.far - b.far })
	words := make([]string, len(found))
	for i, n := range found {
		words[i] = n.word
	}
	return words
}

var separators = strings.NewReplacer("-", "", "_", "", " ", "")

func plain(word string) string {
	return separators.Replace(strings.ToLower(word))
}

// DidYouMean returns the end of a message about an invalid word: the most similar valid word,
// or all valid words if none is similar.
func DidYouMean(word string, valid []string) string {
	if n := Nearest(word, valid); len(n) > 0 {
		return "; did you mean " + n[0] + "?"
	}
	if len(valid) == 0 {
		return ""
	}
	return "; use " + Either(valid)
}

// Guess returns the part of a message that suggests at most three similar names. It is empty
// if none is similar.
func Guess(name string, names []string) string {
	near := Nearest(name, names)
	near = near[:min(len(near), 3)]
	for i, n := range near {
		near[i] = fmt.Sprintf("%q", n)
	}
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + Either(near) + "?"
}

// Either returns words as "a, b or c".
func Either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " or " + words[n]
}
