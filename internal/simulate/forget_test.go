package simulate

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"iterable-segment-export/internal/people"
)

// forgottenHere is what happens to a person after a deletion request.
const forgottenHere = "is forgotten in the data root"

// deletions are of people from the data root: how many of each person are under way, and when one
// began or ended last.
type deletions struct {
	*sync.Mutex
	deleting map[int]int
	deleted  map[int]time.Time
	news     map[int]bool // since unknown was called last
}

func newDeletions() deletions {
	return deletions{Mutex: new(sync.Mutex), deleting: map[int]int{}, deleted: map[int]time.Time{}, news: map[int]bool{}}
}

// deletion starts to remove a person from the data root, beside whatever is under way. Like
// those of a run, its effects can fail, stall or come late.
func (h *history) deletion(who int) {
	a := &attempt{world: h.world, key: h.named("deletion"), stopCh: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), attemptContext{}, a))
	a.ctx, a.cancel = ctx, cancel
	h.attempts = append(h.attempts, a)
	h.count("deletions")
	h.tell("%s of %d starts", a.key, who)
	h.deletions.Lock()
	h.deleting[who]++
	h.deleted[who], h.news[who] = time.Now(), true
	h.deletions.Unlock()
	h.goes(func() {
		defer cancel()
		out, err := h.forgets(ctx, who)
		h.tell("%s ends: %s, %v", a.key, out.Summary(), err)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.replaced = max(1, h.steps)
		h.deletions.Lock()
		defer h.deletions.Unlock()
		h.deleting[who]--
		h.deleted[who], h.news[who] = time.Now(), true
	})
}

func (h *history) forgets(ctx context.Context, who int) (people.ForgetAnswer, error) {
	person, _ := people.Parse(address(who))
	return people.Place{Root: h.product.Root}.Forget(ctx, person)
}

// unknown applies the deletions that are under way, or have ended since a time: exports do not
// know any more that they have added these people.
func (h *history) unknown(since time.Time) (people map[int]bool) {
	h.deletions.Lock()
	defer h.deletions.Unlock()
	people = map[int]bool{}
	for who, ended := range h.deleted {
		people[who] = h.deleting[who] > 0 || !ended.Before(since)
		if !people[who] && !h.news[who] {
			continue
		}
		h.news[who] = h.deleting[who] > 0
		for _, r := range h.records {
			for _, one := range r.byList {
				delete(one.must, who)
			}
		}
	}
	return people
}

// checkDeletions deletes people again once nothing goes wrong, and checks that all of them is
// gone.
func (h *history) checkDeletions() {
	for _, who := range slices.Sorted(maps.Keys(h.deleting)) {
		first, err := h.forgets(context.Background(), who)
		must(err)
		again, err := h.forgets(context.Background(), who)
		must(err)
		if !first.Complete() || !again.Complete() || len(again.Files) > 0 {
			h.violated("g", "%d is not forgotten in the data root: first %+v, then %+v", who, first, again)
		}
		if found := h.find(address(who), true); len(found.Lists)+len(found.Rows)+len(found.NotOn)+len(found.Unreadable) > 0 {
			h.violated("j", "%d, who is forgotten in the data root, is found: %+v", who, found)
		}
	}
}
