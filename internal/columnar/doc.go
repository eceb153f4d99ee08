// Package columnar is shared by the readers of Parquet and Arrow files: the interface
// that they implement, their errors, the file that they read from, and the bounds on
// memory and work.
//
// Files may be damaged or hostile. Sizes that a file claims are compared with the file
// before memory is allocated for them. A panic in a reader becomes an error. Each error
// that reaches the caller is an *Error with the file, the column and what to do.
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

// File is the structure of a file, as its footer or its beginning describes it.
type File interface {
	Described() *Description
	// Hash returns the hash of the footer that src has now.
	Hash(src *Source) ([sha256.Size]byte, error)
	// Check returns an error if a mapped column is not where the file's metadata
	// claims. A nil path is a column that the file lacks.
	Check(paths [][]int) error
	// Open starts reading the columns from src, which must be the same file.
	Open(src *Source, paths [][]int, opts Options) (Batches, error)
}

// Description is the metadata of a file.
type Description struct {
	Fields []arrow.Field
	// Footer is a hash of the file's metadata, FooterSize their length in bytes.
	Footer     [sha256.Size]byte
	FooterSize int64
	Rows       int64 // -1 if unknown before the file is read
	RowGroups  int
}

// Described implements File.
func (d *Description) Described() *Description { return d }

// Batches returns the rows of one file in their order.
type Batches interface {
	// Next returns the columns of at most Options.BatchRows rows, and io.EOF at
	// the end. A column that the file lacks has type null. Of rows that
	// Options.Skip leaves out it returns only how many there are.
	Next() ([]arrow.Array, int, error)
	Close()
}

// Options configure a reader; zero fields mean the defaults.
type Options struct {
	// BatchRows is the maximum number of rows of a record; default 16,384. Rows with
	// large values come in smaller records.
	BatchRows int
	// Ahead is the number of records read ahead of the caller; default 2.
	Ahead int
	// Parallel is the number of columns decoded concurrently; default GOMAXPROCS.
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
	// MaxFooter is the maximum size of a footer in bytes. That of 10,000 columns in a
	// hundred row groups is smaller.
	MaxFooter = 64 << 20
	// MaxNesting is the maximum depth of nested columns, which is Arrow's own limit for
	// IPC.
	MaxNesting = 64
	// BatchBytes is the approximate maximum size of a batch's values: rows with large
	// values come in smaller batches.
	BatchBytes = 32 << 20
)

// CheckCount returns an error if a number of rows can't be true for a file of that size.
// Rows with only nulls need no bytes, so a small file could keep a worker busy for years.
// The bound of a thousand rows per byte is far beyond that of files with addresses.
func CheckCount(rows, size int64) error {
	const least, perByte = 1_000_000, 1000
	if rows < 0 || rows > least && (rows-least)/perByte > size {
		return fmt.Errorf("the file is damaged: it claims %d rows in %d bytes; write it again", rows, size)
	}
	return nil
}

// Unsupported is the type of a column that can't be read. It is an error only if the
// column is mapped.
type Unsupported struct {
	arrow.NullType
	Why error
}

// String returns why the type is not supported.
func (u *Unsupported) String() string { return "unsupported: " + u.Why.Error() }

// Supported returns why a type, or a part of it, can't be read, or nil.
func Supported(dt arrow.DataType) error {
	switch dt := dt.(type) {
	case *Unsupported:
		return dt.Why
	case *arrow.StructType: // other members than the unsupported one can be mapped
		for _, f := range dt.Fields() {
			if err := Supported(f.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

// At returns the field at a path through structs, and its name: the names on the path
// joined by dots.
func At(fields []arrow.Field, path []int) (name string, f arrow.Field) {
	f = fields[path[0]]
	name = f.Name
	for _, i := range path[1:] {
		f = f.Type.(*arrow.StructType).Field(i)
		name += "." + f.Name
	}
	return name, f
}

// Parallel calls do for 0 to n-1, at most width concurrently, and returns the results in
// order. A panic in a call is an error.
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

// Signature returns a file's first bytes if they are a known signature, and otherwise an empty
// string, since they could be personal data.
func Signature(head []byte) string {
	for _, known := range []string{"PK", "\x1f\x8b", "Obj\x01", "ORC", "\x28\xb5\x2f\xfd", "SQLite", "%PDF"} {
		if bytes.HasPrefix(head, []byte(known)) {
			return known
		}
	}
	return ""
}

// UUIDLen is the length of a UUID's text.
const UUIDLen = 36

// UUIDs returns the texts of UUIDs of 16 bytes each, and their offsets for an array.
func UUIDs(p []byte) (offsets, texts []byte) {
	ends, texts := make([]int32, len(p)/16+1), make([]byte, 0, len(p)/16*UUIDLen)
	for i := range len(p) / 16 {
		texts = append(texts, uuid.UUID(p[16*i:16*i+16]).String()...)
		ends[i+1] = int32(len(texts))
	}
	return arrow.Int32Traits.CastToBytes(ends), texts
}
