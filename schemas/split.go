package schemas

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Whole is the whole of a Split, in the units of Group: hundredths of a percent.
const Whole = 10_000

// Split divides a segment's profiles at random into groups, each with a list of its own.
type Split struct {
	// Salt makes the groups of two splits independent; default the segment's name.
	Salt string `json:"salt,omitempty"`
	// Groups has the share of each group, such as "10%".
	Groups map[string]string `json:"groups"`
	// Holdout names the groups that are not sent.
	Holdout []string `json:"holdout,omitempty"`
}

// Group is one group of a Split: the profiles whose hash with Salt is in From to To-1, out of
// Whole.
type Group struct {
	Salt string `json:"salt"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// Share returns a share such as "12.5%" out of Whole. ok reports whether it is one.
func Share(text string) (share int, ok bool) {
	number, ok := strings.CutSuffix(text, "%")
	whole, part, _ := strings.Cut(number, ".")
	n, err := strconv.Atoi(whole + (part + "00")[:2])
	return n, ok && err == nil && len(part) <= 2 && n > 0 && n <= Whole && whole != "" && whole[0] != '+'
}

// Expanded returns the segments that a segment with a split stands for, one for each group with
// a list, or the segment itself. The groups have their shares in the order of their names.
func (s Segment) Expanded() []Segment {
	if s.Split == nil {
		return []Segment{s}
	}
	var out []Segment
	from := 0
	for _, name := range slices.Sorted(maps.Keys(s.Split.Groups)) {
		share, _ := Share(s.Split.Groups[name])
		one := s
		one.Name, one.Split = s.Name+"/"+name, nil
		one.Group = &Group{Salt: cmp.Or(s.Split.Salt, s.Name), From: from, To: from + share}
		from += share
		if !slices.Contains(s.Split.Holdout, name) {
			out = append(out, one)
		}
	}
	return out
}
