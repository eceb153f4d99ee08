package parts

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/arrow/util"
	"github.com/zeebo/xxh3"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/schemas"
)

// A part's rows are written when there are blockRows or blockBytes of them, and those of the
// largest part when all parts together have heldBytes.
const (
	blockRows  = 16 << 10
	blockBytes = 4 << 20
	heldBytes  = 64 << 20
)

// Index describes a file of parts. It is stored as JSON.
type Index struct {
	// Columns are the identifying columns and the fields, Types the schema with their types as
	// an Arrow IPC stream.
	Columns []Column `json:"columns"`
	Types   []byte   `json:"types"`
	// Files are the names of the segment's files.
	Files []string        `json:"files"`
	Parts map[string]Part `json:"parts"`
	// Identities has the identifying columns of all rows, if there are two of them.
	Identities Part `json:"identities"`
	// Losers are the rows that dedupe does not keep: by file, a roaring bitmap. Nil if they were
	// not looked for.
	Losers map[int32][]byte `json:"losers"`
	// Linked is set if there is a file beside it with what earlier runs knew of suppressed profiles.
	Linked bool `json:"linked,omitempty"`
}

// Column is a segment.Column without its type.
type Column struct {
	Name  string        `json:"name"`
	Role  segment.Role  `json:"role"`
	Field schemas.Field `json:"field,omitzero"`
}

// Part is the rows of one list.
type Part struct {
	Rows   int64   `json:"rows"`
	Blocks []Block `json:"blocks,omitempty"`
	// Kept is set if the list keeps its members although it has no rows.
	Kept bool `json:"kept,omitempty"`
}

// Block is the place of a block in the file, in bytes, and its checksum.
type Block struct {
	At   int64  `json:"at"`
	Size int64  `json:"size"`
	Sum  uint64 `json:"sum,string"`
}

// identities is the name under which a Writer collects Index.Identities. No list has it.
const identities = ""

// Writer writes a file of parts. It is not safe for concurrent use.
type Writer struct {
	out   io.Writer
	at    int64
	index Index
	parts map[string]*part
	held  int64
}

// part is the rows of a list that are not written yet.
type part struct {
	Part
	pending []arrow.Record
	rows    int64
	bytes   int64
}

// Names of the columns that a block has beside those of the segment.
const (
	fileColumn = "file"
	rowColumn  = "row"
)

// NewWriter returns a writer of the rows of a segment, whose blocks it writes to out.
func NewWriter(out io.Writer, seg *segment.Segment) (*Writer, error) {
	w := &Writer{out: out, parts: map[string]*part{}, index: Index{Files: seg.Files(), Parts: map[string]Part{}}}
	var fields []arrow.Field
	for _, c := range seg.Columns {
		if c.Role > segment.Field {
			continue
		}
		w.index.Columns = append(w.index.Columns, Column{Name: c.Name, Role: c.Role, Field: c.Field})
		fields = append(fields, arrow.Field{Name: c.Name, Type: cmp.Or[arrow.DataType](c.Type, arrow.Null), Nullable: true})
	}
	var types bytes.Buffer
	err := ipc.NewWriter(&types, ipc.WithSchema(arrow.NewSchema(fields, nil))).Close()
	w.index.Types = types.Bytes()
	return w, err
}

// kept returns the positions of the columns that a part has.
func kept(seg []segment.Column, identitiesOnly bool) (out []int) {
	for i, c := range seg {
		if c.Role < segment.Field || c.Role == segment.Field && !identitiesOnly {
			out = append(out, i)
		}
	}
	return out
}

// Add adds rows of a batch of the segment to the part of a list. The rows are numbers in the
// batch, in ascending order.
func (w *Writer) Add(ctx context.Context, seg *segment.Segment, list string, b segment.Batch, rows []int32) error {
	return w.add(ctx, list, kept(seg.Columns, false), b, rows)
}

// AddIdentities adds all rows of a batch to Index.Identities, if the segment has both
// identifying columns: only then rows about the same profile can differ in one.
func (w *Writer) AddIdentities(ctx context.Context, seg *segment.Segment, b segment.Batch) error {
	columns := kept(seg.Columns, true)
	if len(columns) < 2 {
		return nil
	}
	rows := make([]int32, b.NumRows())
	for i := range rows {
		rows[i] = int32(i)
	}
	return w.add(ctx, identities, columns, b, rows)
}

func (w *Writer) add(ctx context.Context, list string, columns []int, b segment.Batch, rows []int32) error {
	p := w.parts[list]
	if p == nil {
		p = &part{}
		w.parts[list] = p
	}
	if len(rows) == 0 {
		return nil
	}
	rec, err := selected(ctx, columns, b, rows)
	if err != nil {
		return err
	}
	if len(p.pending) > 0 && !p.pending[0].Schema().Equal(rec.Schema()) { // of a file with other types
		if err := w.write(p); err != nil {
			rec.Release()
			return err
		}
	}
	size := util.TotalRecordSize(rec)
	p.pending, p.rows, p.bytes = append(p.pending, rec), p.rows+rec.NumRows(), p.bytes+size
	p.Rows += rec.NumRows()
	w.held += size
	if p.rows >= blockRows || p.bytes >= blockBytes {
		return w.write(p)
	}
	for w.held >= heldBytes {
		if err := w.write(w.largest()); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) largest() (most *part) {
	for _, p := range w.parts {
		if most == nil || p.bytes > most.bytes {
			most = p
		}
	}
	return most
}

// selected returns rows of a batch as a record of their own.
func selected(ctx context.Context, columns []int, b segment.Batch, rows []int32) (arrow.Record, error) {
	var fields []arrow.Field
	var out []arrow.Array
	defer func() { release(out) }()
	add := func(name string, a arrow.Array) {
		fields = append(fields, arrow.Field{Name: name, Type: a.DataType(), Nullable: true})
		out = append(out, a)
	}
	for _, i := range columns {
		a, err := gather(ctx, b.Column(i), rows)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", b.ColumnName(i), err)
		}
		add(b.ColumnName(i), a)
	}
	files, numbers := array.NewInt32Builder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	defer files.Release()
	defer numbers.Release()
	for _, i := range rows {
		file, row := b.At(int(i))
		files.Append(file)
		numbers.Append(row)
	}
	add(fileColumn, files.NewArray())
	add(rowColumn, numbers.NewArray())
	return array.NewRecord(arrow.NewSchema(fields, nil), out, int64(len(rows))), nil
}

// write writes the pending rows of a part as a block.
func (w *Writer) write(p *part) error {
	if len(p.pending) == 0 {
		return nil
	}
	pending := p.pending
	p.pending, p.rows, w.held, p.bytes = nil, 0, w.held-p.bytes, 0
	defer func() {
		for _, r := range pending {
			r.Release()
		}
	}()
	var buf bytes.Buffer
	out := ipc.NewWriter(&buf, ipc.WithSchema(pending[0].Schema()), ipc.WithLZ4())
	rec, err := joined(pending)
	if err == nil {
		err = out.Write(rec)
		rec.Release()
	}
	if err == nil {
		err = out.Close()
	}
	if err == nil {
		_, err = w.out.Write(buf.Bytes())
	}
	if err != nil {
		return fmt.Errorf("write the divided rows: %w", err)
	}
	size := int64(buf.Len())
	p.Blocks = append(p.Blocks, Block{At: w.at, Size: size, Sum: xxh3.Hash(buf.Bytes())})
	w.at += size
	return nil
}

// joined returns records with the same schema as one.
func joined(records []arrow.Record) (arrow.Record, error) {
	schema := records[0].Schema()
	if len(records) == 1 {
		records[0].Retain()
		return records[0], nil
	}
	columns := make([]arrow.Array, 0, schema.NumFields())
	defer func() { release(columns) }()
	n := int64(0)
	for i := range schema.NumFields() {
		pieces := make([]arrow.Array, len(records))
		n = 0
		for k, r := range records {
			pieces[k] = r.Column(i)
			n += r.NumRows()
		}
		one, err := concatenate(pieces)
		if err != nil {
			return nil, err
		}
		columns = append(columns, one)
	}
	return array.NewRecord(schema, columns, n), nil
}

// Close writes what is left, and returns the index of the file.
func (w *Writer) Close() (Index, error) {
	names := make([]string, 0, len(w.parts))
	for name := range w.parts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := w.parts[name]
		if err := w.write(p); err != nil {
			return w.index, err
		}
		if name == identities {
			w.index.Identities = p.Part
		} else {
			w.index.Parts[name] = p.Part
		}
	}
	return w.index, nil
}

// Discard releases what is not written.
func (w *Writer) Discard() {
	for _, p := range w.parts {
		for _, r := range p.pending {
			r.Release()
		}
		p.pending = nil
	}
}
