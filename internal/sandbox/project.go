package sandbox

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// project is one Iterable project: its profiles, their fields, and its lists.
type project struct {
	name string
	kind ProjectType

	mu     sync.RWMutex
	people people
	fields map[string]valueKind
	lists  map[int64]*list
	// version counts the changes to profiles and members, so that a digest is
	// made once for each: a profile can change through another list.
	version uint64
	marks   map[string]mark
	// data holds the profiles' dataFields where Config.KeepData asks for them.
	data map[uint32]map[string]any

	limits limits
}

// list is one list of a project, guarded by the project's mutex.
type list struct {
	id          int64
	name        string
	description string
	listType    string
	created     time.Time
	members     members
	digest      digest
	// sizes are the sizes that lists/{id}/size has still to tell, in the order of
	// time, where Config.SizeLag asks for that.
	sizes []sizeSince
}

// sizeSince is a list's size from a time on.
type sizeSince struct {
	since time.Time
	size  int
}

// note notes the size that a list has now, and forgets those that nobody will be
// told any more.
func (l *list) note(now time.Time, lag time.Duration) {
	l.sizes = append(l.sizes, sizeSince{now, l.members.count})
	for len(l.sizes) > 1 && !l.sizes[1].since.After(now.Add(-lag)) {
		l.sizes = l.sizes[1:]
	}
}

// sizeAt is the list's size at a time; without notes the size that it has now.
func (l *list) sizeAt(at time.Time) int {
	if len(l.sizes) == 0 {
		return l.members.count
	}
	size := 0
	for _, s := range l.sizes {
		if !s.since.After(at) {
			size = s.size
		}
	}
	return size
}

func newProject(p Project, c *Config) *project {
	rate := p.Rate
	if rate == 0 {
		rate = c.Rate
	}
	made := &project{
		name:   p.Name,
		kind:   p.Type,
		fields: map[string]valueKind{},
		lists:  map[int64]*list{},
		marks:  map[string]mark{},
		limits: newLimits(rate, c),
	}
	if c.KeepData {
		made.data = map[uint32]map[string]any{}
	}
	return made
}

// sortedLists gives the lists in order of their ids. The caller locks.
func (p *project) sortedLists() []*list {
	lists := make([]*list, 0, len(p.lists))
	for _, l := range p.lists {
		lists = append(lists, l)
	}
	slices.SortFunc(lists, func(a, b *list) int { return cmp.Compare(a.id, b.id) })
	return lists
}

// mark is why Iterable would refuse a person.
type mark string

// The marks that POST /sandbox/people knows; each puts its people into the
// array of failedUpdates that has its name.
const (
	markForgotten   mark = "forgotten"
	markConflict    mark = "conflict"
	markInvalidData mark = "invalidData"
	markInvalid     mark = "invalid"
	markNotFound    mark = "notFound"
)
