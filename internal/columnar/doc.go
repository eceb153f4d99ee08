// Package columnar holds what the readers of Parquet and Arrow files share: the
// interface that they implement, their errors, the file that they read from,
// and the bounds on what a file may make them do.
//
// Files come from outside and may be damaged or hostile. Sizes that a file
// claims are compared with the file before memory is allocated for them, a
// panic below a reader becomes an error, and every error that reaches the
// caller is an *Error that says which file, which column and what to do.
package columnar

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// File is one file's structure, as its footer or its beginning describes it.
type File interface {
	Described() *Description
	// Hash returns the hash of the footer that src has now.
	Hash(src *Source) ([sha256.Size]byte, error)
	// Check refuses mapped columns that do not lie where the file says. A nil path
	// is a column that the file does not have.
	Check(paths [][]int) error
	// Open starts reading the columns from src, which is the same file.
	Open(src *Source, paths [][]int, opts Options) (Batches, error)
}

// Description is what a file says of itself.
type Description struct {
	Fields []arrow.Field
	// Footer is a hash of what describes the file's content, FooterSize its length
	// in bytes.
	Footer     [sha256.Size]byte
	FooterSize int64
	Rows       int64 // -1 where only reading the file would tell
	RowGroups  int
}

// Described implements File.
func (d *Description) Described() *Description { return d }

// Batches returns the rows of one file in their order.
type Batches interface {
	// Next returns the columns of at most Options.BatchRows rows, and io.EOF at
	// the end. A column that the file does not have is of type null. Of rows that
	// Options.Skip leaves out it returns only how many there are.
	Next() ([]arrow.Array, int, error)
	Close()
}

// Options tune a reader; zero fields mean the defaults.
type Options struct {
	// BatchRows is the most rows of a record; default 16,384. Rows with large
	// values come in smaller records.
	BatchRows int
	// Ahead is how many records are read ahead of the caller; default 2.
	Ahead int
	// Parallel is how many columns are decoded at a time; default GOMAXPROCS.
	Parallel int
	// Skip has the row groups that are not read; nil reads all.
	Skip []bool
}

// WithDefaults returns the options with the defaults filled in.
func (o Options) WithDefaults() Options {
	if o.BatchRows <= 0 {
		o.BatchRows = 16 << 10
	}
	if o.Ahead <= 0 {
		o.Ahead = 2
	}
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	return o
}

const (
	// MaxFooter bounds, in bytes, the part of a file that describes it. 10,000
	// columns in a hundred row groups stay below.
	MaxFooter = 64 << 20
	// MaxNesting bounds how deep columns may be nested; Arrow's own limit for IPC
	// is 64.
	MaxNesting = 64
	// BatchBytes is about how many bytes of values a batch has at most: rows with
	// large values come in smaller batches.
	BatchBytes = 32 << 20
)

// CheckCount refuses counts of rows that can't be true. Rows of nothing but null
// take no bytes, so that a small file could keep a worker busy for years; the
// bound, a thousand rows a byte, is far beyond what files with addresses have.
func CheckCount(rows, size int64) error {
	const least, perByte = 1_000_000, 1000
	if rows < 0 || rows > least && (rows-least)/perByte > size {
		return fmt.Errorf("the file is damaged: it claims %d rows in %d bytes; write it again", rows, size)
	}
	return nil
}

// Unsupported stands for the type of a column that can't be read. It matters
// only where the column is mapped.
type Unsupported struct {
	arrow.NullType
	Why error
}

// String says why the type is not supported.
func (u *Unsupported) String() string { return "unsupported: " + u.Why.Error() }

// Supported returns why a type, or a part of it, can't be read.
func Supported(dt arrow.DataType) error {
	switch dt := dt.(type) {
	case *Unsupported:
		return dt.Why
	case *arrow.StructType: // which stays one, so that its other members can be mapped
		for _, f := range dt.Fields() {
			if err := Supported(f.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

// At returns the field at a path through structs, and the names on the path joined
// by dots.
func At(fields []arrow.Field, path []int) (name string, f arrow.Field) {
	f = fields[path[0]]
	name = f.Name
	for _, i := range path[1:] {
		f = f.Type.(*arrow.StructType).Field(i)
		name += "." + f.Name
	}
	return name, f
}

// Parallel calls do for 0 to n-1, up to width at a time, and returns the results
// in order. A panic in any of them is an error.
func Parallel(n, width int, do func(i int) (arrow.Array, error)) ([]arrow.Array, error) {
	out := make([]arrow.Array, n)
	errs := make([]error, n)
	var g errgroup.Group
	g.SetLimit(width)
	for i := range n {
		g.Go(func() error {
			defer Guard(&errs[i])
			out[i], errs[i] = do(i)
			return nil
		})
	}
	g.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Printable returns a file's first bytes only where they are a known signature
// and not the beginning of somebody's data.
func Printable(head []byte) string {
	for _, known := range []string{"PK", "\x1f\x8b", "Obj\x01", "ORC", "\x28\xb5\x2f\xfd", "SQLite", "%PDF"} {
		if bytes.HasPrefix(head, []byte(known)) {
			return known
		}
	}
	return "other bytes"
}

// UUIDLen is the length of a UUID's text.
const UUIDLen = 36

// UUIDs returns the texts of UUIDs of 16 bytes each, and the offsets of an array of
// them.
func UUIDs(p []byte) (offsets, texts []byte) {
	ends, texts := make([]int32, len(p)/16+1), make([]byte, 0, len(p)/16*UUIDLen)
	for i := range len(p) / 16 {
		texts = append(texts, uuid.UUID(p[16*i:16*i+16]).String()...)
		ends[i+1] = int32(len(texts))
	}
	return arrow.Int32Traits.CastToBytes(ends), texts
}
