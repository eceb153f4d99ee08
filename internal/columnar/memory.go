package columnar

import (
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow/memory"
)

// MaxBatchMemory bounds the memory for reading one batch of a segment's rows, in bytes. Batches
// of ordinary rows need some MB; only damaged files, or values of many MB each, need as much.
const MaxBatchMemory = 512 << 20

// TooMuchMemory is the panic of a Budget that is used up, which Guard turns into an error.
type TooMuchMemory struct {
	What  string
	Limit int64 // in bytes
}

func (t TooMuchMemory) Error() string {
	return fmt.Sprintf("it needs more than %d MB of memory for %s", t.Limit>>20, t.What)
}

// Budget is an allocator that bounds the bytes allocated since its last reset, since Arrow
// allocates what a damaged file asks for. It ignores what is freed, since Arrow does not free
// everything.
type Budget struct {
	memory.Allocator
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget {
	return &Budget{Allocator: memory.NewGoAllocator(), limit: limit}
}

// Reset makes the whole budget available again.
func (b *Budget) Reset() { b.used.Store(0) }

// Used returns the number of bytes taken since the last reset.
func (b *Budget) Used() int64 { return b.used.Load() }

// Give returns bytes to the budget.
func (b *Budget) Give(size int64) { b.used.Add(-size) }

// Take counts size bytes, and panics with TooMuchMemory if fewer are left.
func (b *Budget) Take(size int) {
	if size < 0 || int64(size) > b.limit || b.used.Add(int64(size)) > b.limit {
		panic(TooMuchMemory{"one batch of rows", b.limit})
	}
}

// Allocate implements memory.Allocator.
func (b *Budget) Allocate(size int) []byte {
	b.Take(size)
	return b.Allocator.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (b *Budget) Reallocate(size int, old []byte) []byte {
	b.Take(size - min(size, len(old)))
	return b.Allocator.Reallocate(size, old)
}
