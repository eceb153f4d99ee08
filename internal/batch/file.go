package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// File is a staged file open for reading. It is safe for concurrent use if its reader is.
type File struct {
	arrow  *ipc.FileReader
	sums   []byte
	memory *recycled
	budget *columnar.Budget
}

// Open opens a staged file of size bytes. It reads only the trailer and the footer.
func Open(r io.ReaderAt, size int64) (f *File, err error) {
	defer columnar.Guard(&err)
	sums, err := readTrailer(r, size)
	if err != nil {
		return nil, fmt.Errorf("read the end of the staged file: %w", err)
	}
	budget := columnar.NewBudget(min(maxMemory, 1<<20+size*maxRatio))
	mem := &recycled{Allocator: budget.Allocator}
	budget.Allocator = mem
	reader, err := ipc.NewFileReader(io.NewSectionReader(r, 0, size),
		ipc.WithSchema(schemas.StagedSchema), ipc.WithAllocator(budget))
	if err != nil {
		return nil, fmt.Errorf("read the footer of the staged file: %w", err)
	}
	if n := reader.NumRecords(); n != len(sums)/8 {
		return nil, fmt.Errorf("the staged file has %d batches and checksums for %d", n, len(sums)/8)
	}
	return &File{arrow: reader, sums: sums, memory: mem, budget: budget}, nil
}

// Recycle lets batches use the memory of those that were released, which is cleared for each of them
// otherwise. Then nothing may be read from a batch after its release, and only one goroutine may
// use the file.
func (f *File) Recycle() { f.memory.on = true }

// Batches returns the number of batches.
func (f *File) Batches() int { return f.arrow.NumRecords() }

// Batch reads batch k, from 0. The caller must release it.
func (f *File) Batch(k int) (b *Batch, err error) {
	defer columnar.Guard(&err)
	if k < 0 || k >= f.Batches() {
		return nil, fmt.Errorf("read batch %d of the staged file: it has %d batches", k, f.Batches())
	}
	f.budget.Reset() // of those read at the same time too
	rec, err := f.arrow.RecordAt(k)
	if err != nil {
		return nil, fmt.Errorf("read batch %d of the staged file: %w", k, err)
	}
	c, err := contentOf(rec)
	if err == nil && c.sum() != binary.LittleEndian.Uint64(f.sums[k*8:]) {
		err = errors.New("its content does not match its checksum")
	}
	if err != nil {
		rec.Release()
		return nil, fmt.Errorf("batch %d of the staged file is damaged: %w", k, err)
	}
	return &Batch{content: c, rec: rec}, nil
}

// Close releases the footer. It does not close the reader.
func (f *File) Close() error { return f.arrow.Close() }

// Batch is the profiles of one batch. The results of its methods are in the batch's memory:
// they are valid until Release, and must not be changed. Rows count from 0.
type Batch struct {
	content
	rec arrow.Record
}

// Len returns the number of profiles.
func (b *Batch) Len() int { return b.n }

// Email returns the address of row i, empty if only the user ID identifies the profile.
func (b *Batch) Email(i int) []byte { return b.email.at(i) }

// UserID returns the user ID of row i, empty if only the address identifies the profile.
func (b *Batch) UserID(i int) []byte { return b.userID.at(i) }

// DataFields returns the JSON object of row i's mapped fields, or empty.
func (b *Batch) DataFields(i int) []byte { return b.dataFields.at(i) }

// File returns the source file of row i, an index into the segment's sorted files.
func (b *Batch) File(i int) int32 { return b.file[i] }

// Row returns the number of row i in its source file, from 0.
func (b *Batch) Row(i int) int64 { return b.row[i] }

// Key returns the hash of what identifies row i.
func (b *Batch) Key(i int) [16]byte { return [16]byte(b.key[i*keySize:]) }

// Fields returns the FieldsHash of row i.
func (b *Batch) Fields(i int) uint64 { return b.fields[i] }

// Release frees the batch's memory.
func (b *Batch) Release() {
	if b.rec != nil {
		b.rec.Release()
		b.rec, b.content = nil, content{}
	}
}

// maxMemory and maxRatio bound the memory for reading a batch, in bytes and as a multiple of the
// file's size, to which a MB is added. With a damaged length, Arrow would otherwise allocate all
// of the machine's memory.
const (
	maxMemory = 2 * maxBodyBytes
	maxRatio  = 256
)

// recycled is an allocator. If it is on, it uses memory that was freed again.
type recycled struct {
	memory.Allocator
	on   bool
	free [][]byte
}

func (a *recycled) Allocate(size int) []byte {
	best := -1
	for i, b := range a.free {
		if cap(b) >= size && (best < 0 || cap(b) < cap(a.free[best])) {
			best = i
		}
	}
	if best < 0 {
		return a.Allocator.Allocate(size)
	}
	b := a.free[best]
	a.free = slices.Delete(a.free, best, best+1)
	return b[:size]
}

func (a *recycled) Reallocate(size int, b []byte) []byte {
	if cap(b) >= size {
		return b[:size]
	}
	out := a.Allocate(size)
	copy(out, b)
	a.Free(b)
	return out
}

// mostFree is the most pieces of memory that may be free; a batch has fewer.
const mostFree = 32

func (a *recycled) Free(b []byte) {
	if a.on && cap(b) > 0 && len(a.free) < mostFree {
		a.free = append(a.free, b[:0])
	}
}
