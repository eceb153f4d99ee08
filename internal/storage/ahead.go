package storage

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Bounds on what is fetched ahead of one file, in bytes.
const (
	aheadMemory = 64 << 20
	leastBlock  = 128 << 10
	mostBlock   = 8 << 20
	// mostGap is how many unneeded bytes may be fetched to save a request: about
	// what arrives in the time of a round trip.
	mostGap = 256 << 10
	// blocksKept is how many blocks of a stretch are kept: the one being read,
	// one that is peeked into, and the next.
	blocksKept = 3
)

// stretch serves one range of a file from blocks. It fetches the next block while
// one is read.
type stretch struct {
	Range
	file  *remoteFile
	block int64 // bytes
	// grows makes sequential reads fetch more and more blocks per request; without
	// it, only the next block is fetched ahead.
	grows bool

	mu     sync.Mutex
	blocks map[int64]*fetched
	recent []int64 // indexes of blocks, the last used one at the end
}

// fetched is a block that is being fetched or has been.
type fetched struct {
	done chan struct{}
	data []byte
	err  error
	run  int64 // blocks in the same request
}

func newStretch(f *remoteFile, r Range, block int64) *stretch {
	return &stretch{Range: r, file: f, block: block, blocks: map[int64]*fetched{}}
}

// read fills p from the block at off, at most to the block's end.
func (s *stretch) read(p []byte, off int64) (int, error) {
	i := (off - s.Start) / s.block
	b := s.get(i)
	select {
	case <-b.done:
	case <-s.file.ctx.Done():
		return 0, s.file.ctx.Err()
	}
	if b.err != nil {
		return 0, b.err
	}
	return copy(p, b.data[off-s.Start-i*s.block:]), nil
}

// get returns block i, and starts fetching the next one.
func (s *stretch) get(i int64) *fetched {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blocks[i]
	if b == nil {
		run := int64(1)
		if before := s.blocks[i-1]; s.grows && before != nil {
			run = min(2*before.run, max(1, mostBlock/2/s.block))
		}
		b = s.start(i, run)
	}
	if !s.grows && s.blocks[i+1] == nil && s.Start+(i+1)*s.block < s.End {
		s.start(i+1, 1)
	}
	s.touch(i)
	return b
}

// start requests run blocks from i on in one request, and returns the first.
func (s *stretch) start(i, run int64) *fetched {
	from := s.Start + i*s.block
	to := min(s.End, from+run*s.block)
	var asked []*fetched
	for k := i; s.Start+k*s.block < to; k++ {
		if s.blocks[k] != nil {
			to = s.Start + k*s.block
			break
		}
		b := &fetched{done: make(chan struct{}), run: run}
		asked = append(asked, b)
		s.blocks[k] = b
		s.touch(k)
	}
	s.file.fetching.Go(func() { s.fetch(asked, i, from, to) })
	return asked[0]
}

func (s *stretch) fetch(asked []*fetched, first, from, to int64) {
	err := s.file.acquire()
	data := []byte(nil)
	if err == nil {
		data = make([]byte, to-from)
		err = s.file.fetch(s.file.ctx, data, from, func(n int) {
			s.file.bytes.Add(int64(n))
			s.file.requests.Add(1)
		})
		<-s.file.slots
	}
	if err != nil {
		s.mu.Lock()
		for k := range asked {
			delete(s.blocks, first+int64(k)) // a later read fetches it again
		}
		s.mu.Unlock()
	}
	for k, b := range asked {
		at := int64(k) * s.block
		if b.err = err; err == nil {
			b.data = data[at:min(at+s.block, int64(len(data)))]
		}
		close(b.done)
	}
}

// acquire waits for one of the file's slots.
func (f *remoteFile) acquire() error {
	select {
	case f.slots <- struct{}{}:
		return nil
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
}

// touch marks a block as used, and drops the least recently used one if there are
// too many.
func (s *stretch) touch(i int64) {
	if k := slices.Index(s.recent, i); k >= 0 {
		s.recent = slices.Delete(s.recent, k, k+1)
	}
	s.recent = append(s.recent, i)
	keep := blocksKept
	if s.grows {
		keep = int(2 * mostBlock / s.block)
	}
	if len(s.recent) > keep {
		delete(s.blocks, s.recent[0])
		s.recent = s.recent[1:]
	}
}

// Plan implements Planner.
func (f *remoteFile) Plan(ranges []Range) {
	plan := f.stretches(ranges)
	f.mu.Lock()
	f.plan = plan
	f.mu.Unlock()
	for _, s := range plan {
		s.mu.Lock()
		s.start(0, 1)
		s.mu.Unlock()
	}
}

// stretches divides the memory among the ranges. It joins neighbours that together
// fit into one block: a longer stretch serves only readers at the same position.
func (f *remoteFile) stretches(ranges []Range) []*stretch {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })
	block := min(mostBlock, max(leastBlock, aheadMemory/blocksKept/max(1, int64(len(ranges)))))
	var out []*stretch
	for _, r := range ranges {
		r.Start, r.End = max(0, r.Start), min(r.End, f.size)
		if n := len(out); n > 0 {
			last := out[n-1]
			near := r.Start-last.End <= mostGap && r.End-last.Start <= block
			if near || r.Start < last.End {
				last.End = max(last.End, r.End)
				continue
			}
		}
		if r.Start < r.End {
			out = append(out, newStretch(f, r, block))
		}
	}
	return out
}
