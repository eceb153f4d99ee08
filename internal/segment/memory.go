package segment

import (
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow/memory"
)

// maxBatchMemory bounds, in bytes, what reading one batch of rows may take.
// Batches of ordinary rows take some MB; only damaged files, or values of many
// MB each, come near it.
const maxBatchMemory = 512 << 20

// tooMuchMemory is the panic of a budget that is used up.
type tooMuchMemory struct{ what string }

// budget is an allocator that counts what is asked of it since its last reset,
// whatever is freed in between: Arrow does not free everything.
type budget struct {
	memory.Allocator
	used atomic.Int64
}

func newBudget() *budget { return &budget{Allocator: memory.NewGoAllocator()} }

func (b *budget) reset() { b.used.Store(0) }

func (b *budget) take(size int) {
	if size < 0 || size > maxBatchMemory || b.used.Add(int64(size)) > maxBatchMemory {
		panic(tooMuchMemory{"one batch of rows"})
	}
}

func (b *budget) Allocate(size int) []byte {
	b.take(size)
	return b.Allocator.Allocate(size)
}

func (b *budget) Reallocate(size int, old []byte) []byte {
	b.take(size - min(size, len(old)))
	return b.Allocator.Reallocate(size, old)
}

// firstError keeps the first of the errors that several goroutines report.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
