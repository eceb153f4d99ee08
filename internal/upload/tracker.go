package upload

import (
	"maps"
	"slices"
	"sync"
	"time"

	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/schemas"
)

// tracker records which batches of a chunk are assigned and acknowledged, and the counts.
type tracker struct {
	mu     sync.Mutex
	end    int
	taken  int   // the next unassigned batch
	back   []int // returned batches
	done   map[int]bool
	next   int // the lowest batch not acknowledged
	counts schemas.UploadCounts
	parts  map[int]schemas.UploadCounts // of batches of which only parts were acknowledged
	// requests are the acknowledged ones.
	requests []ledger.Request
}

func newTracker(in schemas.UploadInput, p schemas.UploadProgress) *tracker {
	t := &tracker{end: in.End}
	t.start(p)
	return t
}

// start sets the tracker to the progress.
func (t *tracker) start(p schemas.UploadProgress) {
	t.taken, t.next, t.counts, t.done = p.Next, p.Next, p.Counts, map[int]bool{}
	t.parts = maps.Clone(p.Parts)
	for _, k := range p.Done {
		t.done[k] = true
	}
}

// left reports whether there are unassigned batches.
func (t *tracker) left() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.back) > 0 || t.taken < t.end
}

// take returns the next batch to send.
func (t *tracker) take() (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.back); n > 0 {
		k := t.back[n-1]
		t.back = t.back[:n-1]
		return k, true
	}
	for t.taken < t.end {
		k := t.taken
		t.taken++
		if k >= t.next && !t.done[k] { // batches below next are done, and no longer in done
			return k, true
		}
	}
	return 0, false
}

// giveBack returns assigned batches that were not sent.
func (t *tracker) giveBack(batches []*loaded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range slices.Backward(batches) {
		t.back = append(t.back, b.k)
	}
}

func (t *tracker) acknowledge(batches []*loaded, counts schemas.UploadCounts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Add(counts)
	request := ledger.Request{At: time.Now().UTC().Truncate(time.Millisecond)}
	for _, b := range batches {
		t.done[b.k] = true
		delete(t.parts, b.k)
		request.Batches = append(request.Batches, b.k)
	}
	t.requests = append(t.requests, request)
	for t.done[t.next] {
		delete(t.done, t.next)
		t.next++
	}
}

// resume continues from the progress of an earlier attempt, if that has more.
func (t *tracker) resume(p schemas.UploadProgress, requests []ledger.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = slices.Clone(requests)
	known := schemas.UploadProgress{Next: t.next, Done: slices.Collect(maps.Keys(t.done)), Counts: t.counts, Parts: t.parts}
	if ledger.Further(p, known) {
		t.start(p)
	}
}

// note counts the requests of batches that were not acknowledged as a whole, and what was
// done of the batches.
func (t *tracker) note(requests schemas.UploadCounts, batches ...*loaded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Add(requests)
	for _, b := range batches {
		if known := t.parts[b.k]; b.counts.Acknowledged() > known.Acknowledged() {
			if t.parts == nil {
				t.parts = map[int]schemas.UploadCounts{}
			}
			t.parts[b.k] = b.counts
		}
	}
}

// begun reports whether anything of the chunk that begins with batch first was acknowledged.
func (t *tracker) begun(first int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next > first || len(t.done)+len(t.parts) > 0
}

// answeredRequests returns the acknowledged requests.
func (t *tracker) answeredRequests() []ledger.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

// snapshot returns the progress for a heartbeat.
func (t *tracker) snapshot() schemas.UploadProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := schemas.UploadProgress{Next: t.next, Parts: maps.Clone(t.parts)}
	for k := range t.done {
		p.Done = append(p.Done, k)
	}
	p.Counts.Add(t.counts)
	return p
}
