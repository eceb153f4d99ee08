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
	"iter"
	"slices"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/delta"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Segment is an inspected segment.
type Segment struct {
	// Columns are the mapped columns: the e-mail column if one is mapped, then
	// the user id if one is, then the fields in the order of the mapping. The
	// records of Read have them in the same order.
	Columns []Column

	files    []fileInfo
	info     schemas.SegmentInfo
	resolver *resolver
	located  *Located
	footers  int64 // bytes
	traffic  storage.Traffic

	condition *condition
	stored    func(ctx context.Context, identities bool) iter.Seq2[Batch, error] // nil if the rows are in the files
	skipped   schemas.Skipped
}

// footersKept is the number of bytes of footers that are kept parsed between Inspect and
// Read. Parsed, they need several times their size.
const footersKept = 32 << 20

// fileInfo is the information about a file that is kept between Inspect and Read.
type fileInfo struct {
	storage.Object
	footer [sha256.Size]byte
	rows   int64 // -1 if unknown
	// file is the parsed metadata; nil if the footers of the segment's files exceed
	// footersKept, so they must be parsed again.
	file columnar.File
	// folders are the file's partitions by its path; data is its entry in the log of a
	// table.
	folders []partitionValue
	data    *delta.File
	// skip are the row groups in which no row can match the condition, nil if there are
	// none. out is set if that is so in all of them, and unopened if the log of a table rules
	// the file out, so that its footer is not read.
	skip          []bool
	out, unopened bool
}

// Inspect reads the footers of the files at a source, in the form of storage.Survey, and
// finds the mapped columns in each. It does not check that the source may be read.
func Inspect(ctx context.Context, source string, want Columns) (*Segment, error) {
	l, err := Locate(ctx, source, Search{Version: Latest, Statistics: want.Where != nil}, func(o storage.Object) (storage.Object, error) { return o, nil })
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &columnar.Error{Type: schemas.ErrorSegmentNotFound, Err: err}
		}
		return nil, columnar.AsError("", err)
	}
	return l.Inspect(ctx, want)
}

// Inspect reads the footers of the files, and finds the mapped columns in each.
func (l *Located) Inspect(ctx context.Context, want Columns) (*Segment, error) {
	m, err := newResolver(want)
	if err != nil {
		return nil, err
	}
	if len(l.objects) == 0 && l.table == nil {
		return nil, &columnar.Error{Type: schemas.ErrorSegmentNotFound, Err: errors.New("the segment has no files")}
	}
	s := &Segment{located: l, resolver: m, info: schemas.SegmentInfo{Files: len(l.objects)}, condition: newCondition(want, m.columns)}
	var folders [][]partitionValue
	if l.table == nil {
		folders = partitions(l.objects, want.asText())
	} else {
		s.info.Table = &schemas.TableVersion{Format: storage.Delta, Version: l.table.Version}
	}
	s.files = make([]fileInfo, len(l.objects))
	for i, o := range l.objects {
		s.files[i].Object = o
		if l.table != nil {
			s.files[i].data = &l.table.Files[i]
		} else {
			s.files[i].folders = folders[i]
		}
	}
	if err := s.ruleOutByLog(); err != nil {
		return nil, err
	}
	sum := sha256.New()
	ctx, cancel := context.WithCancel(ctx)
	ahead := s.openAhead(ctx)
	defer func() { // closes files that were opened ahead and not used
		cancel()
		for file := range ahead {
			if o := <-file; o.src != nil {
				o.src.Close()
			}
		}
	}()
	for i := range s.files {
		file, ok := <-ahead
		if !ok {
			return nil, columnar.AsError(s.files[i].Name, ctx.Err())
		}
		if err := s.inspect(&s.files[i], <-file); err != nil {
			return nil, err
		}
		addFile(sum, s.files[i])
		if l.Progress != nil {
			l.Progress(i + 1)
		}
	}
	if err := s.withoutFiles(); err != nil {
		return nil, err
	}
	s.Columns = m.columns
	s.info.Fingerprint = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

// withoutFiles finds the columns of a table without opened files in its log.
func (s *Segment) withoutFiles() error {
	if slices.ContainsFunc(s.files, func(f fileInfo) bool { return !f.unopened }) {
		return nil
	}
	p, err := asTable(noFile{}, s.located.table, &delta.File{})
	if err != nil {
		return err
	}
	return s.resolver.add("", p.Described().Fields)
}

// noFile is a file without columns.
type noFile struct{ columnar.File }

func (noFile) Described() *columnar.Description { return &columnar.Description{} }

func (s *Segment) inspect(info *fileInfo, o opened) (err error) {
	if info.unopened {
		s.info.Bytes += info.Size
		s.countRows(info)
		return nil
	}
	if o.src == nil {
		return o.err
	}
	defer o.src.Close()
	defer func() { err = o.src.Explain(info.Object, err) }()
	defer columnar.Guard(&err)
	if o.err != nil {
		return o.err
	}
	f := o.file
	if err := s.resolver.add(info.Name, f.Described().Fields); err != nil {
		return err
	}
	paths, err := s.resolver.paths(f.Described().Fields)
	if err != nil {
		return err
	}
	s.resolver.warnOfCase(info.folders, f.Described().Fields, paths)
	if err := f.Check(paths); err != nil {
		return err
	}
	if err := s.ruleOut(info, f, paths); err != nil {
		return err
	}
	s.info.RowGroups += f.Described().RowGroups
	s.info.Bytes += info.Size
	info.rows = f.Described().Rows
	s.countRows(info)
	info.footer = f.Described().Footer
	if size := f.Described().FooterSize; s.footers+size <= footersKept {
		s.footers += size
		info.file = f
	}
	return nil
}

func (s *Segment) countRows(info *fileInfo) {
	if info.rows < 0 || s.info.Rows < 0 {
		s.info.Rows = -1
		return
	}
	s.info.Rows += info.rows
	if info.data != nil {
		s.info.Rows -= info.data.Deleted()
	}
}

// openedAhead is the number of files that are opened concurrently: in a bucket each needs
// one or two requests of about 80 ms, and a segment can have thousands.
const openedAhead = 16

// opened is a file whose footer is read.
type opened struct {
	src  *columnar.Source // nil if it could not be opened
	file columnar.File
	err  error
}

// openAhead opens the files of the segment, several at a time, and sends them in their
// order. The receiver closes their sources.
func (s *Segment) openAhead(ctx context.Context) <-chan chan opened {
	files := make(chan chan opened, openedAhead)
	go func() {
		defer close(files)
		for i := range s.files {
			file := make(chan opened, 1)
			select {
			case files <- file:
			case <-ctx.Done():
				return
			}
			go func() {
				var o opened
				if s.files[i].unopened {
					file <- o
					return
				}
				if o.src, o.err = openSource(ctx, s.files[i].Object); o.err == nil {
					o.file, o.err = s.open(o.src, &s.files[i])
				}
				file <- o
			}()
		}
	}()
	return files
}

// open reads the metadata of a file, and adds the columns of its partitions or table.
func (s *Segment) open(src *columnar.Source, info *fileInfo) (columnar.File, error) {
	f, err := openFormat(src, s.condition != nil && info.file == nil && info.rows == 0)
	if err != nil {
		return nil, err
	}
	if info.data == nil {
		return partitioned(f, info.folders), nil
	}
	return asTable(f, s.located.table, info.data)
}

func openSource(ctx context.Context, o storage.Object) (*columnar.Source, error) {
	f, err := storage.OpenSource(ctx, o)
	if err != nil {
		return nil, columnar.AsError(o.Name, err)
	}
	return columnar.NewSource(ctx, f), nil
}

// addFile adds a file to the fingerprint.
func addFile(sum hash.Hash, f fileInfo) {
	fmt.Fprintf(sum, "%q %q ", f.Name, f.ETag)
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(f.Size))
	binary.LittleEndian.PutUint64(b[8:], uint64(f.ModTime.UnixNano()))
	sum.Write(b[:])
	sum.Write(f.footer[:])
	if f.data != nil {
		fmt.Fprintf(sum, "%s", f.data.Version())
	}
}

// Info returns the segment's size and fingerprint.
func (s *Segment) Info() schemas.SegmentInfo { return s.info }

// Is reports whether l has the files that were inspected, unchanged, and the same version
// of a table.
func (s *Segment) Is(l *Located) bool {
	if (s.info.Table == nil) != (l.table == nil) || l.table != nil && l.table.Version != s.info.Table.Version {
		return false
	}
	return slices.EqualFunc(s.files, l.objects, func(f fileInfo, o storage.Object) bool {
		return f.Name == o.Name && f.URL == o.URL && f.Size == o.Size && f.ETag == o.ETag && f.ModTime.Equal(o.ModTime)
	})
}

// Warnings returns warnings about the segment's files for the report.
func (s *Segment) Warnings() []string { return append(s.located.warnings, s.resolver.warnings...) }

// Files returns the names of the segment's files in the order in which they are read.
func (s *Segment) Files() []string {
	out := make([]string, len(s.files))
	for i, f := range s.files {
		out[i] = f.Name
	}
	return out
}

// CheckFingerprint returns an error of type ErrorSegmentChanged if the segment differs
// from the one that an earlier Inspect found.
func (s *Segment) CheckFingerprint(earlier string) error {
	if s.info.Fingerprint == earlier {
		return nil
	}
	return &columnar.Error{Type: schemas.ErrorSegmentChanged, Err: errors.New("the segment's files have changed since the start of the run" + schemas.RetryWhenComplete)}
}
