package config

import (
	"cmp"
	"strings"

	"iterable-segment-export/schemas"
)

// checkDivided checks a segment with several lists, and the names of those that are known.
func checkDivided(e schemas.Export, s schemas.Segment, at []string, names map[string]position, doc *document, p *problems) {
	checkForEach(e, s, at, doc, p)
	if s.Split == nil {
		return
	}
	add := func(format string, args ...any) { p.add(doc.at(child(at, "split")...), format, args...) }
	sum, folded := 0, map[string]bool{}
	for name, text := range s.Split.Groups {
		if folded[strings.ToLower(name)] {
			add("two groups differ only in case, and Iterable does not tell such lists apart")
			return
		}
		folded[strings.ToLower(name)] = true
		share, ok := schemas.Share(text)
		if sum += share; !ok || name == "" {
			add("the group %s needs a name and a share above 0%% and up to 100%%", quote(name))
			return
		}
	}
	switch {
	case s.ForEach != "":
		add("a segment has either split or forEach")
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
	lists := s.Lists()
	if len(lists) == 0 {
		add("all groups are holdouts, so nothing would be sent")
	}
	for _, list := range lists {
		checkName(list, "segment", child(at, "split"), names, doc, p)
	}
}

// namedLists returns how many lists an export has, without those that a column names.
func namedLists(e schemas.Export) (n int) {
	for _, s := range e.Segments {
		n += len(s.Lists())
	}
	return n
}

// checkMostLists refuses an export that could have more lists than the result of a run has room for.
func checkMostLists(e schemas.Export, at []string, doc *document, p *problems) {
	most, named, divided := 0, namedLists(e), 0
	for _, s := range e.Segments {
		most += max(len(s.Lists()), 1)
		if s.ForEach != "" {
			most += cmp.Or(s.MaxLists, schemas.DefaultMaxLists) - 1
			divided++
		}
	}
	switch {
	case named > schemas.LargestMaxLists:
		p.add(doc.at(child(at, "segments")...), "the segments have %d lists together, and an export may have %d; divide them among several exports", named, schemas.LargestMaxLists)
	case divided > 1 && most > schemas.LargestMaxLists:
		p.add(doc.at(child(at, "segments")...), "the segments could have %d lists together, and an export with several forEach may have %d; set maxLists (default %d), or divide them among several exports", most, schemas.LargestMaxLists, schemas.DefaultMaxLists)
	}
}

func checkForEach(e schemas.Export, s schemas.Segment, at []string, doc *document, p *problems) {
	if s.ForEach == "" {
		for _, setting := range []string{"maxLists", "vanished"} {
			if doc.has(child(at, setting)...) {
				p.add(doc.at(child(at, setting)...), "%s is for segments with forEach; remove it", setting)
			}
		}
		return
	}
	if _, _, ok := s.Around(); !ok {
		p.add(doc.at(child(at, "name")...), "with forEach, the name must have the place of the value once: %s", quote(strings.TrimSpace("Customers {"+s.ForEach+"}")))
	}
	if strings.EqualFold(s.ForEach, e.Email) || strings.EqualFold(s.ForEach, e.UserID) {
		p.add(doc.at(child(at, "forEach")...), "forEach names a column that identifies people, and its values would be names of lists that everyone sees; choose another column")
	}
	if s.ListID != 0 {
		p.add(doc.at(child(at, "forEach")...), "listId can't go with forEach, whose values have a list each; remove it")
	}
}
