// Package spelling finds what somebody meant who wrote a word that is not known.
package spelling

import (
	"fmt"
	"slices"
	"strings"
)

// distance is how many letters have to be put in, left out, changed or swapped
// with their neighbour to turn one word into the other (the optimal string
// alignment distance).
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

// Nearest gives the valid words that are near the word, the nearest first.
// Upper and lower case, "-" and "_" make no difference.
func Nearest(word string, valid []string) []string {
	const longest = 200 // longer words have no near ones worth their time
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

// DidYouMean is the end of a message about a word that is none of the valid
// ones: the nearest one, or all of them where none is near.
func DidYouMean(word string, valid []string) string {
	if n := Nearest(word, valid); len(n) > 0 {
		return "; did you mean " + n[0] + "?"
	}
	if len(valid) == 0 {
		return ""
	}
	return "; use " + Either(valid)
}

// Guess is the middle of a message about a name that is not known: the names that
// are near, at most three, in quotes. It is empty where none is.
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

// Either lists words as "a, b or c".
func Either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " or " + words[n]
}
