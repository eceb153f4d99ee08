package config

import (
	"slices"
	"strconv"

	"iterable-segment-export/schemas"
)

// checkSplit checks a segment's split, and the names of its lists.
func checkSplit(s schemas.Segment, at []string, names map[string]position, doc *document, p *problems) {
	add := func(format string, args ...any) { p.add(doc.at(child(at, "split")...), format, args...) }
	if g := s.Group; g != nil && g.From >= g.To {
		p.add(doc.at(child(at, "group")...), "group ends before it begins; from must be below to")
	}
	if s.Split == nil {
		return
	}
	sum := 0
	for name, text := range s.Split.Groups {
		share, ok := schemas.Share(text)
		if sum += share; !ok || name == "" {
			add("the group %s needs a name and a share above 0%% and up to 100%%", quote(name))
			return
		}
	}
	switch {
	case s.Group != nil:
		add("a segment has either split or group")
	case s.ListID != 0:
		add("listId can't go with split, whose groups have a list each; remove it")
	case sum != schemas.Whole:
		add("the groups' shares are %g%% together; they must be 100%%", float64(sum)/100)
	}
	for _, name := range s.Split.Holdout {
		if _, ok := s.Split.Groups[name]; !ok {
			add("holdout has %s, which is not one of the groups", quote(name))
		}
	}
	groups := s.Expanded()
	if len(groups) == 0 {
		add("all groups are holdouts, so nothing would be sent")
	}
	for _, g := range groups {
		checkName(g.Name, "segment", child(at, "split"), names, doc, p)
	}
}

// expand replaces segments with a split by one for each group.
func expand(segments []schemas.Segment) []schemas.Segment {
	var out []schemas.Segment
	for _, s := range segments {
		out = append(out, s.Expanded()...)
	}
	return slices.Clip(out)
}

// checkExpanded refuses a split outside of a file, where nothing expands it.
func checkExpanded(all *schemas.Exports, doc *document, p *problems) {
	for i, e := range all.Exports {
		for j, s := range e.Segments {
			if s.Split != nil {
				p.add(doc.at("exports", strconv.Itoa(i), "segments", strconv.Itoa(j), "split"), "split is for files; send a segment with a group in place of each group")
			}
		}
	}
}
