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

	"iterable-segment-export/internal/columnar"
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
	footers int64 // bytes
}

// footersKept is how many bytes of footers may be kept parsed between Inspect and
// Read, which takes some times their size.
const footersKept = 32 << 20

// fileInfo is what is kept of a file between Inspect and Read.
type fileInfo struct {
	storage.Object
	footer [sha256.Size]byte
	rows   int64 // -1 where the file does not say
	// file is what was read of its structure, so that it is parsed once; nil
	// where the segment's files have more footers than footersKept.
	file columnar.File
}

// Inspect reads the footers of the files at a source, and finds in each the
// mapped columns. The source is as storage.List takes it; whether it may be
// read is for the caller to check.
func Inspect(ctx context.Context, source string, want Columns) (*Segment, error) {
	objects, err := storage.List(ctx, source)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &columnar.Error{Type: schemas.ErrorSegmentNotFound, Err: err}
		}
		return nil, columnar.AsError("", err)
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
		return nil, &columnar.Error{Type: schemas.ErrorSegmentNotFound, Err: errors.New("the segment has no files")}
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
	defer func() { err = src.Explain(o, err) }()
	f, err := openFormat(src)
	if err != nil {
		return fileInfo{}, err
	}
	if err := s.mapping.add(o.Name, f.Fields()); err != nil {
		return fileInfo{}, err
	}
	paths, err := s.mapping.paths(f.Fields())
	if err != nil {
		return fileInfo{}, err
	}
	if err := checkFormat(f, paths); err != nil {
		return fileInfo{}, err
	}
	s.info.RowGroups += f.RowGroups()
	s.info.Bytes += o.Size
	switch rows := f.Rows(); {
	case rows < 0 || s.info.Rows < 0:
		s.info.Rows = -1
	default:
		s.info.Rows += rows
	}
	hash, size := f.Footer()
	info = fileInfo{Object: o, footer: hash, rows: f.Rows(), file: f}
	if s.footers += size; s.footers > footersKept {
		info.file = nil
	}
	return info, nil
}

func checkFormat(f columnar.File, paths [][]int) (err error) {
	defer columnar.Guard(&err)
	return f.Check(paths)
}

func openSource(ctx context.Context, o storage.Object) (*columnar.Source, error) {
	f, err := storage.OpenSource(ctx, o)
	if err != nil {
		return nil, columnar.AsError(o.Name, err)
	}
	return columnar.NewSource(ctx, f), nil
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
	return &columnar.Error{Type: schemas.ErrorSegmentChanged, Err: errors.New("the segment's files are no longer those that the run found at its start; run the export again when the segment is complete")}
}
