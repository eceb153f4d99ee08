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
