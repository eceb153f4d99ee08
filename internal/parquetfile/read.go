package parquetfile

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Open implements columnar.File. It reads the row groups in their order.
func (f *File) Open(src *columnar.Source, paths [][]int, opts columnar.Options) (columnar.Batches, error) {
	r := &reader{file: f, src: src, mem: columnar.NewBudget(columnar.MaxBatchMemory), opts: opts.WithDefaults(), group: -1}
	for _, path := range paths {
		if path == nil {
			r.columns = append(r.columns, nil)
			continue
		}
		r.columns = append(r.columns, r.part(f.at(path)))
	}
	return r, nil
}

// reader reads a file's row groups in turn.
type reader struct {
	file    *File
	src     *columnar.Source
	mem     *columnar.Budget
	opts    columnar.Options
	columns []*part // by mapped column; nil for one that the file lacks
	leaves  []*part
	group   int
	left    int64 // remaining rows of the group
	batch   int   // rows of a batch in this group
}

// part is a node that is read.
type part struct {
	*node
	children []*part
	pages    *pages // of the open row group, only for a leaf
	values   recordReader
	array    arrow.Array // the rows that load has read
}

// recordReader is Arrow's RecordReader, with methods that its interface lacks.
type recordReader interface {
	file.RecordReader
	Err() error
	HasNext() bool
}

func (r *reader) part(n *node) *part {
	p := &part{node: n}
	if n.isLeaf() {
		r.leaves = append(r.leaves, p)
	}
	for _, c := range n.children {
		p.children = append(p.children, r.part(c))
	}
	return p
}

// Next implements columnar.Batches.
func (r *reader) Next() ([]arrow.Array, int, error) {
	for r.left == 0 {
		if err := r.finishGroup(); err != nil {
			return nil, 0, err
		}
		if r.group++; r.group >= r.file.RowGroups {
			return nil, 0, io.EOF
		}
		if r.group < len(r.opts.Skip) && r.opts.Skip[r.group] {
			return nil, int(r.file.groups[r.group].Rows), nil
		}
		if err := r.openGroup(); err != nil {
			return nil, 0, err
		}
	}
	out, rows, err := r.read()
	for errors.As(err, new(columnar.TooMuchMemory)) && rows > 1 {
		if err = r.reopen(max(1, rows/8)); err == nil {
			out, rows, err = r.read()
		}
	}
	return out, rows, err
}

// read reads the next rows of the open group. It also returns the number of requested
// rows if there is an error.
func (r *reader) read() ([]arrow.Array, int, error) {
	rows := int(min(r.left, int64(r.batch)))
	r.mem.Reset()
	out, err := columnar.Parallel(len(r.columns), r.opts.Parallel, func(i int) (arrow.Array, error) {
		if r.columns[i] == nil {
			return array.NewNull(rows), nil
		}
		return r.columns[i].read(r.mem, rows, r.group)
	})
	if err == nil {
		r.left -= int64(rows)
	}
	return out, rows, err
}

// reopen opens the group again with smaller batches, which the rest of the file then has
// too, and continues at the same row. The size of a batch can't be estimated from the file
// if a large text is in a dictionary.
func (r *reader) reopen(batch int) error {
	left := r.left
	r.Close()
	r.opts.BatchRows = batch
	if err := r.openGroup(); err != nil {
		return err
	}
	for r.left > left {
		r.batch = int(min(int64(batch), r.left-left))
		columns, _, err := r.read()
		if err != nil {
			return err
		}
		for _, c := range columns {
			c.Release()
		}
	}
	r.batch = batch
	return nil
}

func (r *reader) openGroup() error {
	g := r.file.groups[r.group]
	if r.left = g.Rows; r.left == 0 {
		return nil
	}
	var size int64
	var open held
	var plan []storage.Range
	for _, l := range r.leaves {
		p, err := r.file.place(r.group, l.node)
		if err != nil {
			return err
		}
		plan = append(plan, storage.Range{Start: p.start, End: p.end})
		size += max(0, p.Uncompressed)
		l.pages = newPages(p, r.src, &open)
		l.values = l.newValues(r.mem)
		l.values.SetPageReader(l.pages)
	}
	if remote, ok := r.src.File.(storage.Planner); ok {
		remote.Plan(plan)
	}
	r.batch = r.opts.BatchRows
	if perRow := size / r.left; perRow > 0 {
		r.batch = int(max(1, min(int64(r.batch), columnar.BatchBytes/perRow)))
	}
	return nil
}

// buffers are shared by Arrow's readers.
var buffers = sync.Pool{New: func() any { return memory.NewResizableBuffer(memory.DefaultAllocator) }}

// newValues returns Arrow's reader of a leaf's values.
func (p *part) newValues(mem memory.Allocator) recordReader {
	dt := p.dt
	if p.convert != nil {
		dt = arrow.BinaryTypes.Binary
	}
	return file.NewRecordReader(p.descr, p.levels, dt, mem, &buffers).(recordReader)
}

// finishGroup returns an error if the row group has more rows than its metadata claim.
func (r *reader) finishGroup() error {
	defer r.Close()
	for _, l := range r.leaves {
		if l.values == nil {
			continue
		}
		if l.values.HasNext() {
			return l.pages.damaged("row group %d has more rows than its metadata claim", r.group)
		}
		if err := l.pages.finish(); err != nil {
			return err
		}
	}
	return nil
}

// Close implements columnar.Batches.
func (r *reader) Close() {
	for _, l := range r.leaves {
		if l.values != nil {
			l.values.Release()
			l.values, l.pages = nil, nil
		}
	}
}

// read returns the next rows of a mapped column.
func (p *part) read(mem *columnar.Budget, rows, group int) (arr arrow.Array, err error) {
	defer func() {
		var known *columnar.Error
		if err != nil && !errors.As(err, &known) {
			err = columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "row group %d: %w", group, err)
		}
	}()
	defer columnar.Guard(&err)
	if err = p.load(mem, int64(rows)); err == nil {
		arr, err = p.build(mem, int64(rows))
	}
	if err != nil {
		return nil, fmt.Errorf("decode its values: %w; the file is damaged: write it again", err)
	}
	if arr.Len() != rows {
		return nil, fmt.Errorf("got %d more rows, want %d: the file is damaged, or has an encoding that this program can't read; write it again, with plain encodings", arr.Len(), rows)
	}
	return arr, nil
}

// load decodes values and levels of the leaves.
func (p *part) load(mem *columnar.Budget, rows int64) error {
	if len(p.children) > 0 {
		for _, c := range p.children {
			if err := c.load(mem, rows); err != nil {
				return err
			}
		}
		return nil
	}
	p.values.Reset()
	if err := p.values.Reserve(rows); err != nil {
		return err
	}
	for rows > 0 {
		n, err := p.values.ReadRecords(rows)
		// Arrow treats a page that can't be read as the end of the column.
		for _, e := range []error{p.pages.err, p.values.Err()} {
			if e != nil {
				err = e
			}
		}
		if err != nil {
			return err
		}
		if rows -= n; n == 0 {
			break
		}
	}
	var err error
	p.array, err = p.leafArray(mem)
	return err
}

// leafArray returns an array of the decoded values.
func (p *part) leafArray(mem *columnar.Budget) (arrow.Array, error) {
	data, err := p.raw(), error(nil)
	if p.convert != nil {
		data, err = p.convert(p.dt, data, mem)
	}
	if err != nil {
		return nil, err
	}
	return array.MakeFromData(data), nil
}

// raw returns the values in the physical type.
func (p *part) raw() arrow.ArrayData {
	if b, ok := p.values.(file.BinaryRecordReader); ok {
		return b.GetBuilderChunks()[0].Data()
	}
	dt := p.dt
	if p.convert != nil {
		dt = arrow.PrimitiveTypes.Int64 // the converter sets the type
	}
	valid := p.values.ReleaseValidBits()
	return array.NewData(dt, p.values.ValuesWritten(), []*memory.Buffer{valid, p.values.ReleaseValues()}, nil, int(p.values.NullCount()), 0)
}

func (p *part) defLevels() []int16 { return p.values.DefLevels()[:p.values.LevelsPos()] }
func (p *part) repLevels() []int16 { return p.values.RepLevels()[:p.values.LevelsPos()] }
