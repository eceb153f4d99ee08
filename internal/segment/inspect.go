package segment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Segment is what the footers of a segment's files say.
type Segment struct {
	// Columns are the mapped columns: the e-mail column if one is mapped, then
	// the user id if one is, then the fields in the order of the mapping. The
	// records of a Reader have them in the same order.
	Columns []Column

	files   []fileInfo
	info    schemas.SegmentInfo
	mapping *mapping
}

// fileInfo is what is kept of a file between Inspect and Read.
type fileInfo struct {
	storage.Object
	footer [sha256.Size]byte
	rows   int64 // -1 where the file does not say
}

// format is one file's structure, read from its footer.
type format interface {
	// fields are the columns.
	fields() []arrow.Field
	// footer is a hash of what describes the file's content.
	footer() [sha256.Size]byte
	// rows is -1 where only reading all of the file would tell.
	rows() int64
	rowGroups() int
	// check refuses mapped columns that can't be read as they are stored.
	check(paths [][]int) error
	// open starts reading; a nil path is a column that the file does not have.
	open(paths [][]int, opts Options) (batches, error)
}

// batches gives the rows of one file in their order.
type batches interface {
	// next gives the mapped columns of up to as many rows as the options say,
	// and io.EOF at the end.
	next() ([]arrow.Array, int, error)
	close()
}

// Inspect reads the footers of the files at a source, and finds in each the
// mapped columns. The source is as storage.List takes it; whether it may be
// read is for the caller to check.
func Inspect(ctx context.Context, source string, want Columns) (*Segment, error) {
	objects, err := storage.List(ctx, source)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{Type: schemas.ErrorSegmentNotFound, Err: err}
		}
		return nil, asError("", err)
	}
	return InspectObjects(ctx, objects, want)
}

// InspectObjects is Inspect for files that storage.List has found, for a caller
// that checks each of them first.
func InspectObjects(ctx context.Context, objects []storage.Object, want Columns) (*Segment, error) {
	m, err := newMapping(want)
	if err != nil {
		return nil, err
	}
	if len(objects) == 0 {
		return nil, &Error{Type: schemas.ErrorSegmentNotFound, Err: errors.New("the segment has no files")}
	}
	s := &Segment{mapping: m, info: schemas.SegmentInfo{Files: len(objects)}}
	sum := sha256.New()
	for _, o := range objects {
		f, err := s.inspect(ctx, o)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, f)
		addFile(sum, f)
	}
	s.Columns = m.columns
	s.info.Fingerprint = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

func (s *Segment) inspect(ctx context.Context, o storage.Object) (info fileInfo, err error) {
	src, err := openSource(ctx, o)
	if err != nil {
		return fileInfo{}, err
	}
	defer src.Close()
	defer func() { err = src.explain(o, err) }()
	f, err := openFormat(src)
	if err != nil {
		return fileInfo{}, err
	}
	if err := s.mapping.add(o.Name, f.fields()); err != nil {
		return fileInfo{}, err
	}
	paths, err := s.mapping.paths(f.fields())
	if err != nil {
		return fileInfo{}, err
	}
	if err := checkFormat(f, paths); err != nil {
		return fileInfo{}, err
	}
	s.info.RowGroups += f.rowGroups()
	s.info.Bytes += o.Size
	switch rows := f.rows(); {
	case rows < 0 || s.info.Rows < 0:
		s.info.Rows = -1
	default:
		s.info.Rows += rows
	}
	return fileInfo{Object: o, footer: f.footer(), rows: f.rows()}, nil
}

func checkFormat(f format, paths [][]int) (err error) {
	defer guard(&err)
	return f.check(paths)
}

func openSource(ctx context.Context, o storage.Object) (*source, error) {
	f, err := storage.OpenSource(ctx, o)
	if err != nil {
		return nil, asError(o.Name, err)
	}
	return newSource(ctx, f), nil
}

// addFile makes a file part of the fingerprint.
func addFile(sum hash.Hash, f fileInfo) {
	fmt.Fprintf(sum, "%q %q ", f.Name, f.ETag)
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(f.Size))
	binary.LittleEndian.PutUint64(b[8:], uint64(f.ModTime.UnixNano()))
	sum.Write(b[:])
	sum.Write(f.footer[:])
}

// Info says how much the segment holds.
func (s *Segment) Info() schemas.SegmentInfo { return s.info }

// Files names the segment's files in the order in which they are read.
func (s *Segment) Files() []string {
	out := make([]string, len(s.files))
	for i, f := range s.files {
		out[i] = f.Name
	}
	return out
}

// CheckFingerprint tells whether the segment is still as an earlier Inspect
// found it; if not, the error's type is ErrorSegmentChanged.
func (s *Segment) CheckFingerprint(earlier string) error {
	if s.info.Fingerprint == earlier {
		return nil
	}
	return &Error{Type: schemas.ErrorSegmentChanged, Err: errors.New("the segment's files are no longer those that the run found at its start; run the export again when the segment is complete")}
}
