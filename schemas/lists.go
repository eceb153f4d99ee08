package schemas

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A segment with Split or ForEach is divided: it has several lists, and each of its rows is for
// at most one of them. The part of a list is a segment too, with Of.

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
// Whole. List is the name of its list, empty for a holdout.
type Group struct {
	List     string
	Salt     string
	From, To int
}

// Share returns a share such as "12.5%" out of Whole. ok reports whether it is one.
func Share(text string) (share int, ok bool) {
	number, ok := strings.CutSuffix(text, "%")
	whole, part, _ := strings.Cut(number, ".")
	n, err := strconv.Atoi(whole + (part + "00")[:2])
	return n, ok && err == nil && len(part) <= 2 && n > 0 && n <= Whole && whole != "" && whole[0] != '+'
}

// Groups returns the groups of the split of a segment, in the order of their names and shares.
func (s Segment) Groups() []Group {
	var out []Group
	from := 0
	for _, name := range slices.Sorted(maps.Keys(s.Split.Groups)) {
		share, _ := Share(s.Split.Groups[name])
		g := Group{List: s.Name + "/" + name, Salt: cmp.Or(s.Split.Salt, s.Name), From: from, To: from + share}
		if from = g.To; slices.Contains(s.Split.Holdout, name) {
			g.List = ""
		}
		out = append(out, g)
	}
	return out
}

// What becomes of a list whose value has vanished from the segment (Segment.Vanished). Lists of
// groups that a Split no longer has are emptied.
const (
	// VanishedEmpty empties the list, after the guardrails.
	VanishedEmpty = "empty"
	// VanishedKeep leaves the list as it is.
	VanishedKeep = "keep"
)

const (
	// DefaultMaxLists is the default of Segment.MaxLists. LargestMaxLists keeps the result of a
	// run, which has a report for each list, below the 2 MB that Temporal accepts.
	DefaultMaxLists = 100
	LargestMaxLists = 250
	// MaxListName is how many characters the name of a segment may have.
	MaxListName = 255
)

// Divided reports whether the segment has several lists.
func (s Segment) Divided() bool { return s.Split != nil || s.ForEach != "" }

// Lists returns the names of the segment's lists, as far as they are known without its rows.
func (s Segment) Lists() []string {
	if s.Split == nil {
		if s.ForEach != "" {
			return nil
		}
		return []string{s.Name}
	}
	var out []string
	for _, g := range s.Groups() {
		if g.List != "" {
			out = append(out, g.List)
		}
	}
	return out
}

// Around returns what is before and after the value in the names of the lists of a segment with
// ForEach. ok reports whether the name has the place of the value exactly once.
func (s Segment) Around() (before, after string, ok bool) {
	place := "{" + s.ForEach + "}"
	before, after, ok = strings.Cut(s.Name, place)
	return before, after, ok && !strings.Contains(after, place)
}

// ListOf returns the name of the list for a value of the column ForEach.
func (s Segment) ListOf(value string) string {
	before, after, _ := s.Around()
	return before + value + after
}

// MayFill reports whether the segment has a list of that name, or could have one with other rows
// or groups. Like Iterable, it ignores the case of names.
func (s Segment) MayFill(list string) bool {
	t := s.Targets()
	return t.mayFill(list, strings.ToLower(list))
}

// folded returns in lower case what is before and after the value or the group in the names of a
// divided segment's lists.
func (s Segment) folded() (before, after string, ok bool) {
	if s.Split != nil {
		return strings.ToLower(s.Name) + "/", "", true
	}
	before, after, ok = s.Around()
	return strings.ToLower(before), strings.ToLower(after), ok
}

// Targets are the lists that a segment may fill, computed once to be compared with those of many
// others: a file may have thousands of segments.
type Targets struct {
	Segment Segment
	// Lists are those that are known, as Segment.Lists returns them.
	Lists         []string
	lower         []string // in lower case
	before, after string   // as folded returns them
	ok            bool
}

// Targets returns the lists that the segment may fill.
func (s Segment) Targets() Targets {
	t := Targets{Segment: s, Lists: s.Lists()}
	for _, list := range t.Lists {
		t.lower = append(t.lower, strings.ToLower(list))
	}
	if s.Divided() {
		t.before, t.after, t.ok = s.folded()
	}
	return t
}

// mayFill is Segment.MayFill for a list, which is also given in lower case.
func (t *Targets) mayFill(list, lower string) bool {
	if !t.Segment.Divided() {
		return strings.EqualFold(list, t.Segment.Name)
	}
	rest, begins := strings.CutPrefix(lower, t.before)
	value, ends := strings.CutSuffix(rest, t.after)
	return t.ok && begins && ends && value != "" && strings.TrimSpace(value) == value && !strings.EqualFold(list, t.Segment.Name)
}

// Overlaps returns the name of a list that both segments may fill. For two divided ones it may be
// the name of one of them. ok reports whether there is one.
func (t *Targets) Overlaps(o *Targets) (list string, ok bool) {
	if t.Segment.ForEach != "" && o.Segment.ForEach != "" {
		either := func(a, b string, is func(a, b string) bool) bool { return is(a, b) || is(b, a) }
		return t.Segment.Name, t.ok && o.ok && either(t.before, o.before, strings.HasPrefix) && either(t.after, o.after, strings.HasSuffix)
	}
	for range 2 {
		for i, list := range t.Lists {
			if o.mayFill(list, t.lower[i]) {
				return list, true
			}
		}
		t, o = o, t
	}
	return "", false
}

// Same returns a list that two segments of one connection would both send to.
func (t *Targets) Same(o *Targets) (list string, same bool) {
	s, u := &t.Segment, &o.Segment
	switch {
	case s.Name == u.Name && (s.ListID == u.ListID || s.ListID == 0 || u.ListID == 0), s.ListID != 0 && s.ListID == u.ListID:
		return s.Name, true
	case s.Divided(), u.Divided():
		return t.Overlaps(o)
	}
	return "", false
}

// Part returns the segment of one of the lists of a divided segment.
func (s Segment) Part(list string) Segment {
	return Segment{Name: list, Source: s.Source, Ready: s.Ready, Of: s.Name}
}

// Find returns the segment of that name, or the part of a divided one.
func (e Export) Find(name string) (_ Segment, ok bool) {
	for _, s := range e.Segments {
		if s.Name == name {
			return s, true
		}
	}
	for _, s := range e.Segments {
		if s.Divided() && s.MayFill(name) {
			return s.Part(name), true
		}
	}
	return Segment{}, false
}

// BadValue returns why no list can be named after a value of the column ForEach, or nothing. The
// value is trimmed and not empty.
func (s Segment) BadValue(value string) string {
	switch {
	case !utf8.ValidString(value):
		return "is not valid UTF-8"
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has an invisible character"
	case strings.Contains(value, "@"):
		return "looks like an e-mail address"
	case strings.EqualFold(s.ListOf(value), s.Name): // as Iterable compares names
		return "makes a list with the name of the segment"
	case utf8.RuneCountInString(s.ListOf(value)) > MaxListName:
		return "is too long for the name of a list, which may have " + strconv.Itoa(MaxListName) + " characters"
	}
	return ""
}

// DivideInput is the input of DivideSegment.
type DivideInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"`
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	Info       SegmentInfo    `json:"info"`
	// Began is the InspectInput's.
	Began time.Time `json:"began,omitzero"`
	// Check leaves the record of the segment's lists as it is.
	Check bool `json:"check,omitempty"`
}

// DivideResult is what DivideSegment found and wrote.
type DivideResult struct {
	// Manifest counts the rows that were read and filtered; Attempt names the folder of the
	// divided rows.
	Manifest Manifest `json:"manifest"`
	Divided  Divided  `json:"divided"`
}

// Divided is how the rows of a segment are divided among its lists. Counts are of rows.
type Divided struct {
	// Lists are the segment's lists, in the order of their names.
	Lists []ListPart `json:"lists"`
	// WithoutValue counts rows without a value in the column ForEach, HeldOut those of holdouts.
	// They are for no list.
	WithoutValue int64 `json:"withoutValue,omitempty"`
	HeldOut      int64 `json:"heldOut,omitempty"`
	// Kept are lists that no row is for any more and that stay as they are. MoreKept counts those
	// that are not named.
	Kept     []string `json:"kept,omitempty"`
	MoreKept int      `json:"moreKept,omitempty"`
}

// ListPart is the part of a divided segment that is for one list.
type ListPart struct {
	List string `json:"list"`
	Rows int64  `json:"rows"`
	// Vanished is set if no row is for the list any more, and it will be emptied.
	Vanished bool `json:"vanished,omitempty"`
	// Kept is set if no row is for the list any more, and it keeps its members but for suppressed
	// ones.
	Kept bool `json:"kept,omitempty"`
}

// PartInput is what the run of a list must know of its divided segment.
type PartInput struct {
	// Attempt is the one that divided the segment, Info what was read, with the mapped fields
	// and the number of the part's rows.
	Attempt string      `json:"attempt"`
	Info    SegmentInfo `json:"info"`
}

// CloseDividedInput is the input of CloseDivided, which cleans up after the runs of all lists of
// a divided segment.
type CloseDividedInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"`
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	Report     ExportReport   `json:"report"`
	// Check deletes the divided rows and nothing else.
	Check bool `json:"check,omitempty"`
	// Done is set if the runs of all lists are done. Emptied are the lists of vanished values
	// that nobody is on any more.
	Done    bool     `json:"done,omitempty"`
	Emptied []string `json:"emptied,omitempty"`
}
