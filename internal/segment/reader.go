package segment

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/util"
	"golang.org/x/sync/semaphore"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/storage"
)

// Options tune a Reader; zero fields mean the defaults.
type Options = columnar.Options

// Error is what every function of this package fails with.
type Error = columnar.Error

// Reader gives a segment's rows in records of some thousand:
//
//	r := s.Read(ctx, segment.Options{})
//	defer r.Close()
//	for r.Next() {
//		rec := r.Record()
//		…
//	}
//	if err := r.Err(); err != nil { … }
//
// It is for one goroutine.
type Reader struct {
	segment *Segment
	cancel  context.CancelFunc
	ch      chan item
	done    chan struct{}
	room    *semaphore.Weighted // for the bytes of records on their way
	cur     item
	err     error // of the producer, to be read after done is closed

	bytes, requests atomic.Int64 // of the files that were read to their end
}

// item is a record and where it comes from.
type item struct {
	rec    arrow.Record
	file   int
	offset int64
	bytes  int64 // of the room
}

// aheadBytes bounds what the records take that were read and are not yet done
// with. A record that is larger by itself has all of it, and travels alone.
const aheadBytes = 64 << 20

// Read starts reading the segment's rows. The caller closes the reader.
func (s *Segment) Read(ctx context.Context, opts Options) *Reader {
	opts = opts.WithDefaults()
	ctx, cancel := context.WithCancel(ctx)
	r := &Reader{
		segment: s, cancel: cancel, ch: make(chan item, opts.Ahead), done: make(chan struct{}),
		room: semaphore.NewWeighted(aheadBytes),
	}
	go func() {
		defer close(r.done)
		defer close(r.ch)
		r.err = r.produce(ctx, opts)
	}()
	return r
}

// Next goes to the next record. After false, Err says whether that was the end.
func (r *Reader) Next() bool {
	r.release()
	var ok bool
	if r.cur, ok = <-r.ch; !ok {
		<-r.done // from here on Err tells
	}
	return ok
}

// Record is the current record: the mapped columns in the order of
// Segment.Columns, named as there. The form of a column's type may differ from
// file to file, its kind does not; a column that a file lacks is of type null.
// The record is valid until the next call of Next or Close, unless retained.
func (r *Reader) Record() arrow.Record { return r.cur.rec }

// FileIndex is the index of the current record's file in Segment.Files.
func (r *Reader) FileIndex() int { return r.cur.file }

// FileName is the name of the current record's file.
func (r *Reader) FileName() string { return r.segment.files[r.cur.file].Name }

// RowOffset is the number, from 0, of the current record's first row in its
// file.
func (r *Reader) RowOffset() int64 { return r.cur.offset }

// Err is the error that ended the reading, nil at the end of the segment. It is
// an *Error. It is to be called after Next has returned false, or after Close.
func (r *Reader) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Traffic is what was read of the files so far, as they are stored: bytes, and
// how many times a file or a bucket was asked for some. Files that are being read
// are not in it.
func (r *Reader) Traffic() storage.Traffic {
	return storage.Traffic{Bytes: r.bytes.Load(), Requests: r.requests.Load()}
}

// Close ends the reading, wherever it is, and waits for what was read ahead.
func (r *Reader) Close() {
	r.cancel()
	r.release()
	for it := range r.ch {
		it.rec.Release()
	}
	<-r.done
}

func (r *Reader) release() {
	if r.cur.rec != nil {
		r.cur.rec.Release()
		r.cur.rec = nil
		r.room.Release(r.cur.bytes)
	}
}

// produce reads all files in turn and sends their records.
func (r *Reader) produce(ctx context.Context, opts Options) error {
	for i := range r.segment.files {
		if err := r.produceFile(ctx, i, opts); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) produceFile(ctx context.Context, index int, opts Options) (err error) {
	info := r.segment.files[index]
	src, err := openSource(ctx, info.Object)
	if err != nil {
		return err
	}
	defer src.Close()
	defer func() {
		t := src.Traffic()
		r.bytes.Add(t.Bytes)
		r.requests.Add(t.Requests)
		err = src.Explain(info.Object, err)
	}()
	f := info.file
	if f == nil {
		if f, err = r.segment.open(src, &info); err != nil {
			return err
		}
	}
	if err := sameFooter(f, src, info); err != nil {
		return err
	}
	paths, err := r.segment.resolver.paths(f.Described().Fields)
	if err != nil {
		return err
	}
	var deleted *roaring64.Bitmap
	if info.data != nil {
		if deleted, err = info.data.Rows(ctx); err != nil {
			return err
		}
	}
	rows, err := r.send(ctx, index, f, src, paths, opts, deleted)
	if err == nil {
		err = src.Failed()
	}
	if err != nil {
		return err
	}
	if info.rows >= 0 && rows != info.rows {
		return fmt.Errorf("the file says that it has %d rows, and %d could be read; write it again", info.rows, rows)
	}
	return unchanged(ctx, f, src, info)
}

// send sends one file's records and counts its rows.
func (r *Reader) send(ctx context.Context, index int, f columnar.File, src *columnar.Source, paths [][]int, opts Options, deleted *roaring64.Bitmap) (rows int64, err error) {
	defer columnar.Guard(&err)
	b, err := f.Open(src, paths, opts)
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
		rec := array.NewRecord(r.schema(columns), columns, int64(n))
		for _, c := range columns {
			c.Release()
		}
		if err := r.handKept(ctx, item{rec: rec, file: index, offset: rows}, deleted); err != nil {
			return rows, err
		}
		rows += int64(n)
	}
}

// handKept hands over the rows of a record that are not deleted, in a record for
// each stretch of them, so that all rows keep their numbers.
func (r *Reader) handKept(ctx context.Context, it item, deleted *roaring64.Bitmap) error {
	n := it.rec.NumRows()
	it.bytes = min(util.TotalRecordSize(it.rec), aheadBytes)
	if deleted == nil {
		return r.hand(ctx, it)
	}
	defer it.rec.Release()
	gone := deleted.Iterator()
	gone.AdvanceIfNeeded(uint64(it.offset))
	for at := int64(0); at < n; {
		end := n
		if gone.HasNext() {
			end = min(n, int64(gone.PeekNext())-it.offset)
		}
		if end > at {
			// The room is for the whole record: its slices share its memory.
			if err := r.hand(ctx, item{rec: it.rec.NewSlice(at, end), file: it.file, offset: it.offset + at, bytes: it.bytes}); err != nil {
				return err
			}
			it.bytes = 0
		}
		if at = end; end < n {
			gone.Next()
			at++
		}
	}
	return nil
}

// hand gives a record to the caller of Next, once there is room for it.
func (r *Reader) hand(ctx context.Context, it item) error {
	err := r.room.Acquire(ctx, it.bytes)
	if err == nil {
		select {
		case r.ch <- it:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	it.rec.Release()
	return err
}

// schema describes the columns.
func (r *Reader) schema(columns []arrow.Array) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: r.segment.Columns[i].Name, Type: c.DataType(), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// unchanged checks at the end of a file that it was the same file all along:
// the one at its path, and the one that is open.
func unchanged(ctx context.Context, f columnar.File, src *columnar.Source, info fileInfo) error {
	if err := storage.CheckUnchanged(ctx, info.Object); err != nil {
		return err
	}
	return sameFooter(f, src, info)
}

// sameFooter checks that the file has the footer that Inspect found. One that has
// a version can't be read in another.
func sameFooter(f columnar.File, src *columnar.Source, info fileInfo) (err error) {
	if info.ETag != "" {
		return nil
	}
	defer columnar.Guard(&err)
	hash, err := f.Hash(src)
	if err == nil && hash != info.footer {
		err = fmt.Errorf("%s %w: what describes its content is no longer the same", info.Name, storage.ErrChanged)
	}
	return err
}
