package arrowfile

import (
	"errors"
	"io"
	"math"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// Open implements columnar.File.
func (f *File) Open(src *columnar.Source, paths [][]int, opts columnar.Options) (columnar.Batches, error) {
	r := &reader{
		file: f, src: src, paths: paths, opts: opts.WithDefaults(), mem: columnar.NewBudget(columnar.MaxBatchMemory), at: f.start,
		dicts: map[int64]*dictionary{}, kept: columnar.NewBudget(columnar.MaxBatchMemory), used: make([][]int, len(f.columns)),
	}
	for i, path := range paths {
		if path != nil {
			r.used[path[0]] = append(r.used[path[0]], i)
			if err := r.want(f.node(path)); err != nil {
				return nil, err
			}
		}
	}
	for _, at := range f.dicts {
		msg, err := readMessage(src, at)
		if err == nil {
			err = r.dictionary(msg)
		}
		if err != nil {
			return nil, noEOF(err)
		}
	}
	return r, nil
}

// reader reads a file's or stream's record batches in turn.
type reader struct {
	file    *File
	src     *columnar.Source
	paths   [][]int
	used    [][]int // by top-level column: the mapped columns in it
	opts    columnar.Options
	mem     *columnar.Budget
	at      int64 // of a stream's next message
	block   int   // a file's next record batch
	dicts   map[int64]*dictionary
	kept    *columnar.Budget // memory of the dictionaries
	windows atomic.Int64     // memory of decompressors
	columns []*column        // of the open batch; nil for one that the file lacks
	rows    int64            // of the open batch
	row     int64            // the next of them
	batch   int64            // rows loaded at a time
}

// dictionary is the values of a dictionary-encoded column.
type dictionary struct {
	node   *node
	values arrow.Array // nil before the first batch
	taken  int64       // bytes
}

// want adds the dictionaries that a mapped column uses.
func (r *reader) want(n *node) error {
	if n.form == formDictionary {
		if d := r.dicts[n.id]; d != nil && !arrow.TypeEqual(d.node.dt, n.kids[0].dt) {
			return errIPC
		}
		r.dicts[n.id] = &dictionary{node: n.kids[0]}
	}
	for _, k := range n.kids {
		if err := r.want(k); err != nil {
			return err
		}
	}
	return nil
}

// Next implements columnar.Batches.
func (r *reader) Next() ([]arrow.Array, int, error) {
	for r.row == r.rows {
		if err := r.openBatch(); err != nil {
			return nil, 0, err
		}
	}
	rows := min(r.rows-r.row, r.batch)
	r.mem.Reset()
	out, err := columnar.Parallel(len(r.paths), r.opts.Parallel, func(i int) (arrow.Array, error) { return r.load(i, rows) })
	if err != nil {
		return nil, 0, err
	}
	r.row += rows
	return out, int(rows), nil
}

// load returns the next rows of one mapped column.
func (r *reader) load(i int, rows int64) (arr arrow.Array, err error) {
	if r.columns[i] == nil {
		return array.NewNull(int(rows)), nil
	}
	defer func() { err = r.blame(i, err) }()
	defer columnar.Guard(&err)
	data, err := r.columns[i].load(r.row, rows)
	if err != nil {
		return nil, err
	}
	return array.MakeFromData(data), nil
}

// blame adds the mapped column to an error.
func (r *reader) blame(i int, err error) error {
	if err == nil {
		return nil
	}
	name, _ := columnar.At(r.file.Fields, r.paths[i])
	return columnar.ColumnError(schemas.ErrorSegmentUnreadable, name, "%w", err)
}

// nextRecord returns the next record batch, and reads the dictionaries before it.
func (r *reader) nextRecord() (message, error) {
	if !r.file.stream {
		if r.block == len(r.file.blocks) {
			return message{}, io.EOF
		}
		r.block++
		msg, err := readMessage(r.src, r.file.blocks[r.block-1])
		return msg, noEOF(err)
	}
	for {
		msg, err := readMessage(r.src, r.at)
		if err != nil {
			return msg, err
		}
		r.at = msg.body + msg.size
		if msg.kind != messageDictionary {
			return msg, nil
		}
		if err := r.dictionary(msg); err != nil {
			return msg, err
		}
	}
}

func (r *reader) openBatch() error {
	r.closeBatch()
	msg, err := r.nextRecord()
	if err != nil {
		return err
	}
	batch, err := msg.batch()
	if err != nil {
		return err
	}
	if err := columnar.CheckCount(batch.rows, r.src.Size()); err != nil {
		return err
	}
	l := &layout{reader: r, message: msg, batch: batch, mem: r.mem}
	columns := make([]*column, len(r.paths))
	for top, n := range r.file.columns {
		start := *l
		l.skip(n)
		for _, i := range r.used[top] {
			cursor := start
			if columns[i], err = cursor.path(n, r.paths[i][1:], batch.rows); err != nil {
				return r.blame(i, err)
			}
		}
	}
	perRow := msg.size / max(1, batch.rows)
	if batch.codec != codecNone {
		perRow *= 4 // a typical compression ratio
	}
	r.columns, r.row, r.rows = columns, 0, batch.rows
	r.batch = max(1, min(int64(r.opts.BatchRows), columnar.BatchBytes/max(1, perRow)))
	return nil
}

func (r *reader) closeBatch() {
	for _, c := range r.columns {
		if c != nil {
			c.close()
		}
	}
	r.columns = nil
}

// Close implements columnar.Batches.
func (r *reader) Close() { r.closeBatch() }

// dictionary reads a dictionary message if a mapped column uses it.
func (r *reader) dictionary(m message) error {
	if m.kind != messageDictionary {
		return errIPC
	}
	d := r.dicts[m.header.number(0, 8, 0)]
	if d == nil {
		return nil
	}
	data, ok := m.header.table(1)
	if !ok {
		return errIPC
	}
	batch, err := parseBatch(data)
	if err != nil {
		return err
	}
	before := r.kept.Used()
	c, err := (&layout{reader: r, message: m, batch: batch, mem: r.kept}).column(d.node)
	if err != nil {
		return err
	}
	defer c.close()
	part, err := c.load(0, c.n)
	if err != nil {
		return err
	}
	values := array.MakeFromData(part)
	switch isDelta := m.header.number(2, 1, 0) != 0; {
	case d.values == nil:
	case isDelta:
		if values, err = array.Concatenate([]arrow.Array{d.values, values}, r.kept); err != nil {
			return err
		}
	case !r.file.stream:
		return errors.New("it replaces a dictionary, which is not allowed in an Arrow file; write it again, or as an Arrow stream")
	default:
		r.kept.Give(d.taken)
		before -= d.taken
		d.taken = 0
	}
	d.values = values
	d.taken += r.kept.Used() - before
	return nil
}

// layout walks through a record batch's nodes and buffers, in the order of the columns
// and their children.
type layout struct {
	reader *reader
	message
	batch              recordBatch
	mem                *columnar.Budget
	node, buffer, view int
}

// skip skips a column that is not read.
func (l *layout) skip(n *node) {
	const metadataV5 = 4 // since this version, unions have no bitmap of nulls
	l.node++
	l.buffer += buffersOf[n.form]
	switch n.form {
	case formView:
		if l.view < len(l.batch.variadic) {
			l.buffer += int(l.batch.variadic[l.view])
		}
		l.view++
	case formSparse, formDense:
		if l.version < metadataV5 {
			l.buffer++
		}
	case formDictionary:
		return
	}
	for _, k := range n.kids {
		l.skip(k)
	}
}

// next returns a column's number of elements and its bitmap of nulls, if it has one.
func (l *layout) next(n *node) (length int64, valid []*buffer, err error) {
	if l.node >= len(l.batch.nodes) {
		return 0, nil, errIPC
	}
	here := l.batch.nodes[l.node]
	l.node++
	if here.b == 0 || buffersOf[n.form] == 0 {
		l.buffer += min(1, buffersOf[n.form])
		return here.a, nil, nil
	}
	valid, err = l.buffers(1)
	return here.a, valid, err
}

// buffers returns the next buffers.
func (l *layout) buffers(n int) ([]*buffer, error) {
	if n < 0 || l.buffer < 0 || n > len(l.batch.buffers)-l.buffer {
		return nil, errIPC
	}
	out := make([]*buffer, n)
	for i := range out {
		b := l.batch.buffers[l.buffer]
		l.buffer++
		if b.a > l.size || b.b > l.size-b.a {
			return nil, errTruncated
		}
		out[i] = &buffer{src: l.reader.src, at: l.body + b.a, stored: b.b, codec: l.batch.codec, windows: &l.reader.windows, mem: l.mem, size: -1}
	}
	return out, nil
}

// column returns a column and its children.
func (l *layout) column(n *node) (c *column, err error) {
	c = &column{node: n, mem: l.mem}
	if c.n, c.valid, err = l.next(n); err != nil {
		return nil, err
	}
	if c.n > math.MaxInt64/max(viewBytes, n.width) {
		return nil, errIPC
	}
	if c.bufs, err = l.buffers(max(1, buffersOf[n.form]) - 1); err != nil {
		return nil, err
	}
	switch n.form {
	case formView:
		if l.view >= len(l.batch.variadic) {
			return nil, errIPC
		}
		c.views, err = l.buffers(int(l.batch.variadic[l.view]))
		l.view++
		return c, err
	case formDictionary:
		d := l.reader.dicts[n.id]
		if d.values == nil {
			d.values = array.MakeArrayOfNull(memory.DefaultAllocator, d.node.dt, 0)
		}
		c.all = d.values.Data()
		return c, nil
	}
	for _, k := range n.kids {
		in, err := l.column(k)
		if err != nil {
			return nil, err
		}
		c.kids = append(c.kids, in)
	}
	return c, nil
}

// path returns a mapped column: the column n, or a column inside it at a path through
// structs. A value is null if one of its structs is.
func (l *layout) path(n *node, path []int, rows int64) (*column, error) {
	var above []*buffer
	for ; len(path) > 0; n, path = n.kids[path[0]], path[1:] {
		length, valid, err := l.next(n)
		if err != nil {
			return nil, err
		}
		if length != rows {
			return nil, errIPC
		}
		above = append(above, valid...)
		for _, k := range n.kids[:path[0]] {
			l.skip(k)
		}
	}
	c, err := l.column(n)
	if err != nil {
		return nil, err
	}
	if c.valid = append(above, c.valid...); c.n != rows {
		return nil, errIPC
	}
	return c, nil
}
