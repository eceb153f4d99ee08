package segment

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/util"
	"golang.org/x/sync/semaphore"

	"iterable-segment-export/internal/storage"
)

// Options tune a Reader; zero fields mean the defaults.
type Options struct {
	// BatchRows is the most rows of a record; default 16,384. Rows with large
	// values come in smaller records.
	BatchRows int
	// Ahead is how many records are read ahead of the caller; default 2.
	Ahead int
	// Parallel is how many columns are decoded at a time; default GOMAXPROCS.
	Parallel int
}

func (o Options) withDefaults() Options {
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
	opts = opts.withDefaults()
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
		t := src.traffic()
		r.bytes.Add(t.Bytes)
		r.requests.Add(t.Requests)
		err = src.explain(info.Object, err)
	}()
	f, err := openFormat(src)
	if err != nil {
		return err
	}
	if f.footer() != info.footer {
		return fmt.Errorf("%s %w: what describes its content is no longer the same", info.Name, storage.ErrChanged)
	}
	paths, err := r.segment.mapping.paths(f.fields())
	if err != nil {
		return err
	}
	rows, err := r.send(ctx, index, f, paths, opts)
	if err == nil {
		err = src.failed.get() // whatever became of it on its way through Arrow
	}
	if err != nil {
		return err
	}
	if info.rows >= 0 && rows != info.rows {
		return fmt.Errorf("the file says that it has %d rows, and %d could be read; write it again", info.rows, rows)
	}
	return r.unchanged(ctx, src, info)
}

// send sends one file's records and counts its rows.
func (r *Reader) send(ctx context.Context, index int, f format, paths [][]int, opts Options) (rows int64, err error) {
	defer guard(&err)
	b, err := f.open(paths, opts)
	if err != nil {
		return 0, err
	}
	defer b.close()
	var schema *arrow.Schema
	for {
		columns, n, err := b.next()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		schema = r.schema(schema, columns)
		rec := array.NewRecord(schema, columns, int64(n))
		for _, c := range columns {
			c.Release()
		}
		it := item{rec: rec, file: index, offset: rows, bytes: min(util.TotalRecordSize(rec), aheadBytes)}
		if err := r.hand(ctx, it); err != nil {
			return rows, err
		}
		rows += int64(n)
	}
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

// schema describes the columns; it is the last one where that still fits.
func (r *Reader) schema(last *arrow.Schema, columns []arrow.Array) *arrow.Schema {
	same := last != nil
	for i := 0; same && i < len(columns); i++ {
		same = arrow.TypeEqual(last.Field(i).Type, columns[i].DataType())
	}
	if same {
		return last
	}
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: r.segment.Columns[i].Name, Type: c.DataType(), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// unchanged checks at the end of a file that it was the same file all along:
// the one at its path, and the one that is open.
func (r *Reader) unchanged(ctx context.Context, src *source, info fileInfo) error {
	if err := storage.CheckUnchanged(ctx, info.Object); err != nil {
		return err
	}
	f, err := openFormat(src)
	if err == nil && f.footer() != info.footer {
		err = fmt.Errorf("%s %w: what describes its content is no longer the same", info.Name, storage.ErrChanged)
	}
	return err
}

// parallel calls do for 0 to n-1, up to width at a time, and gives the results
// in order. A panic in any of them is an error.
func parallel(n, width int, do func(i int) (arrow.Array, error)) ([]arrow.Array, error) {
	out := make([]arrow.Array, n)
	errs := make([]error, n)
	one := func(i int) {
		defer guard(&errs[i])
		out[i], errs[i] = do(i)
	}
	if width = min(width, n); width <= 1 {
		for i := range n {
			one(i)
		}
	} else {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range width {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					one(i)
				}
			})
		}
		wg.Wait()
	}
	for _, err := range errs {
		if err == nil {
			continue
		}
		for _, arr := range out {
			if arr != nil {
				arr.Release()
			}
		}
		return nil, err
	}
	return out, nil
}
