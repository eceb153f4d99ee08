package segment

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/util"
	"golang.org/x/sync/semaphore"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Options configure Read; zero fields mean the defaults.
type Options = columnar.Options

// Error is the error type of this package.
type Error = columnar.Error

// Batch is a batch of consecutive rows of a file.
type Batch struct {
	// Record has the mapped columns with the names and in the order of Segment.Columns.
	// A column's type can differ between files, but its kind is the same; a column that
	// a file lacks has type null.
	arrow.Record
	// File is the index of the rows' file in Segment.Files, and Offset the number, from
	// 0, of the first row in it.
	File   int
	Offset int64
	// Match has the rows that match the segment's condition; nil is all.
	Match []bool
	// Files and Rows are set if the rows are not consecutive: of each row its file and its
	// number there.
	Files []int32
	Rows  []int64

	room int64 // bytes
}

// At returns the file of row i and its number there.
func (b Batch) At(i int) (file int32, row int64) {
	if b.Rows != nil {
		return b.Files[i], b.Rows[i]
	}
	return int32(b.File), b.Offset + int64(i)
}

// reading reads a segment's files in turn.
type reading struct {
	*Segment
	opts  Options
	wants func(Role) bool // which columns are read
	ch    chan Batch
	room  *semaphore.Weighted // for the bytes of batches read ahead
}

// aheadBytes bounds the memory of batches that are read and not yet released. A larger
// batch needs all of it, so there is no other one beside it.
const aheadBytes = 64 << 20

// Read returns the segment's rows in batches of some thousand, without the column that orders
// them. A batch is valid until the next one, unless its record is retained. An *Error ends the
// rows.
func (s *Segment) Read(ctx context.Context, opts Options) iter.Seq2[Batch, error] {
	return s.read(ctx, opts, func(r Role) bool { return r != By })
}

// ReadAll is Read with all columns.
func (s *Segment) ReadAll(ctx context.Context) iter.Seq2[Batch, error] {
	return s.read(ctx, Options{}, func(Role) bool { return true })
}

// ReadIdentities is Read, with null in place of all data fields.
func (s *Segment) ReadIdentities(ctx context.Context) iter.Seq2[Batch, error] {
	return s.read(ctx, Options{}, func(r Role) bool { return r != Field && r != ForEach })
}

// Stored is a segment whose rows were read before, and are kept elsewhere.
type Stored struct {
	Columns []Column
	Files   []string
	Info    schemas.SegmentInfo
	// Rows returns the rows, with nothing but the identifying columns if identities is set.
	Rows func(ctx context.Context, identities bool) iter.Seq2[Batch, error]
}

// Segment returns the segment, for Read and ReadIdentities.
func (s Stored) Segment() *Segment {
	out := &Segment{Columns: s.Columns, info: s.Info, located: &Located{}, resolver: &resolver{}, stored: s.Rows}
	for _, name := range s.Files {
		out.files = append(out.files, fileInfo{Object: storage.Object{Name: name}})
	}
	return out
}

func (s *Segment) read(ctx context.Context, opts Options, wants func(Role) bool) iter.Seq2[Batch, error] {
	if s.stored != nil {
		return s.stored(ctx, !wants(Field))
	}
	opts = opts.WithDefaults()
	return func(yield func(Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		r := &reading{s, opts, wants, make(chan Batch, opts.Ahead), semaphore.NewWeighted(aheadBytes)}
		s.traffic, s.skipped = storage.Traffic{}, schemas.Skipped{}
		var err error // of the goroutine, once the channel is closed
		go func() {
			defer close(r.ch)
			for i := range s.files {
				if err = r.file(ctx, i); err != nil {
					return
				}
			}
		}()
		defer func() { // releases the batches read ahead
			cancel()
			for b := range r.ch {
				b.Release()
			}
		}()
		for b := range r.ch {
			more := yield(b, nil)
			b.Release()
			if r.room.Release(b.room); !more {
				return
			}
		}
		if err != nil {
			yield(Batch{}, err)
		}
	}
}

// Traffic returns the bytes and requests that the last Read needed to read the files. It
// is complete after the last batch.
func (s *Segment) Traffic() storage.Traffic { return s.traffic }

// file reads one file.
func (r *reading) file(ctx context.Context, index int) (err error) {
	info := r.files[index]
	if info.out {
		r.leaveOut(&info)
		return nil
	}
	src, err := openSource(ctx, info.Object)
	if err != nil {
		return err
	}
	defer src.Close()
	defer func() {
		t := src.Traffic()
		r.traffic.Bytes += t.Bytes
		r.traffic.Requests += t.Requests
		err = src.Explain(info.Object, err)
	}()
	f := info.file
	if f == nil {
		if f, err = r.open(src, &info); err != nil {
			return err
		}
	}
	if err := sameFooter(f, src, info); err != nil {
		return err
	}
	paths, err := r.resolver.paths(f.Described().Fields)
	if err != nil {
		return err
	}
	var deleted *roaring64.Bitmap
	if info.data != nil {
		if deleted, err = info.data.Rows(ctx, info.rows); err != nil {
			return err
		}
	}
	rows, err := r.send(ctx, index, f, src, paths, deleted)
	if err == nil {
		err = src.Failed()
	}
	if err != nil {
		return err
	}
	if info.rows >= 0 && rows != info.rows {
		return fmt.Errorf("the file's metadata claims %d rows, but %d were read; write it again", info.rows, rows)
	}
	if err := storage.CheckUnchanged(ctx, info.Object); err != nil {
		return err
	}
	return sameFooter(f, src, info)
}

// send sends the batches of one file, and returns its number of rows.
func (r *reading) send(ctx context.Context, index int, f columnar.File, src *columnar.Source, paths [][]int, deleted *roaring64.Bitmap) (rows int64, err error) {
	defer columnar.Guard(&err)
	match, err := r.matcher(f, paths)
	if err != nil {
		return 0, err
	}
	opts := r.opts
	opts.Skip = r.files[index].skip
	b, err := f.Open(src, match.read, opts)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	for {
		columns, n, err := b.Next()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		if columns == nil {
			r.skipped.RowGroups++
			r.skip(rows, int64(n), deleted)
			rows += int64(n)
			continue
		}
		batch := Batch{File: index, Offset: rows}
		if batch.Match, err = match.rows(columns, n); err != nil {
			return rows, err
		}
		batch.Record = array.NewRecord(r.schema(columns), columns, int64(n))
		for _, c := range columns {
			c.Release()
		}
		if err := r.handUndeleted(ctx, batch, deleted); err != nil {
			return rows, err
		}
		rows += int64(n)
	}
}

// handUndeleted hands over the rows of a record that are not deleted. Each stretch of them
// is a batch, so that all rows keep their numbers.
func (r *reading) handUndeleted(ctx context.Context, b Batch, deleted *roaring64.Bitmap) error {
	n := b.NumRows()
	b.room = min(util.TotalRecordSize(b.Record), aheadBytes)
	if deleted == nil {
		return r.hand(ctx, b)
	}
	defer b.Release()
	gone := deleted.Iterator()
	gone.AdvanceIfNeeded(uint64(b.Offset))
	for at := int64(0); at < n; {
		end := n
		if gone.HasNext() {
			end = min(n, int64(gone.PeekNext())-b.Offset)
		}
		if end > at {
			// The room is for the whole record: its slices share its memory.
			stretch := Batch{Record: b.NewSlice(at, end), File: b.File, Offset: b.Offset + at, room: b.room}
			if b.Match != nil {
				stretch.Match = b.Match[at:end]
			}
			if err := r.hand(ctx, stretch); err != nil {
				return err
			}
			b.room = 0
		}
		if at = end; end < n {
			gone.Next()
			at++
		}
	}
	return nil
}

// hand sends a batch to the caller of Read, once there is room for it.
func (r *reading) hand(ctx context.Context, b Batch) error {
	err := r.room.Acquire(ctx, b.room)
	if err == nil {
		select {
		case r.ch <- b:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	b.Release()
	return err
}

// schema returns the schema of a record with these columns.
func (s *Segment) schema(columns []arrow.Array) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: s.Columns[i].Name, Type: c.DataType(), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// sameFooter checks that the file has the footer that Inspect found. It is not needed for
// a file with an ETag, since only that version can be read.
func sameFooter(f columnar.File, src *columnar.Source, info fileInfo) (err error) {
	if info.ETag != "" {
		return nil
	}
	defer columnar.Guard(&err)
	hash, err := f.Hash(src)
	if err == nil && hash != info.footer {
		err = fmt.Errorf("%s %w: its footer is different", info.Name, storage.ErrChanged)
	}
	return err
}
