package segment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"github.com/apache/arrow/go/v15/parquet/schema"

	"iterable-segment-export/schemas"
)

// parquetFile is a Parquet file whose footer has been read.
type parquetFile struct {
	src     *source
	meta    *metadata.FileMetaData
	hash    [sha256.Size]byte
	body    int64 // where the footer begins
	columns []pqarrow.SchemaField
	arrow   []arrow.Field
}

func openParquet(src *source) (*parquetFile, error) {
	const tailLen = 8 // the footer's length and "PAR1"
	size := src.Size()
	if size < int64(len(magicParquet))+tailLen {
		return nil, errTruncated
	}
	var tail [tailLen]byte
	if err := src.readFull(tail[:], size-tailLen); err != nil {
		return nil, err
	}
	if bytes.Equal(tail[4:], magicEncrypted) {
		return nil, errEncrypted
	}
	if !bytes.Equal(tail[4:], magicParquet) {
		return nil, errTruncated
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	body := size - tailLen - length
	switch {
	case length == 0 || body < int64(len(magicParquet)):
		return nil, fmt.Errorf("the file is damaged: its footer claims %d bytes, and the file has %d; write it again", length, size)
	case length > maxFooter:
		return nil, fmt.Errorf("its footer takes %d MB, more than this program reads; write the file with fewer row groups or columns", length>>20)
	}
	footer := make([]byte, length)
	if err := src.readFull(footer, body); err != nil {
		return nil, err
	}
	if err := checkFooter(footer); err != nil {
		return nil, err
	}
	meta, err := metadata.NewFileMetaData(footer, nil)
	if err != nil {
		return nil, fmt.Errorf("the file is damaged: its footer can't be read: %w; write it again", err)
	}
	f := &parquetFile{src: src, meta: meta, hash: sha256.Sum256(footer), body: body}
	// The copy of an Arrow schema that writers put among the footer's remarks is
	// not needed, and one more thing to be wrong.
	meta.FileMetaData.KeyValueMetadata = nil
	if err := f.checkRows(); err != nil {
		return nil, err
	}
	f.findColumns()
	return f, nil
}

var errTruncated = errors.New("the file begins as Parquet and does not end as Parquet: it is cut off, or still being written; wait until it is complete, or write it again")

// checkRows holds the footer's counts against each other.
func (f *parquetFile) checkRows() error {
	var rows int64
	for i, g := range f.meta.RowGroups {
		if g == nil || g.NumRows < 0 || len(g.Columns) != f.meta.Schema.NumColumns() {
			return fmt.Errorf("the file is damaged: row group %d does not fit the file's columns; write it again", i)
		}
		rows += g.NumRows
		if rows < 0 {
			break
		}
	}
	if rows != f.meta.NumRows {
		return fmt.Errorf("the file is damaged: its footer says that there are %d rows, and its row groups have %d; write it again", f.meta.NumRows, rows)
	}
	return checkCount(rows, f.src.Size())
}

// findColumns works out what the columns are in Arrow, each for itself: one of
// a kind that Arrow can't read must not spoil the others.
func (f *parquetFile) findColumns() {
	root := f.meta.Schema.Root()
	leaves := 0
	for i := range root.NumFields() {
		node := root.Field(i)
		field, n, err := arrowField(node, leaves)
		if err != nil {
			field = pqarrow.SchemaField{ColIndex: -1}
			f.arrow = append(f.arrow, arrow.Field{Name: node.Name(), Type: &unsupported{why: err}})
		} else {
			f.arrow = append(f.arrow, *field.Field)
		}
		f.columns = append(f.columns, field)
		leaves += n
	}
}

// arrowField gives a top-level column's form in Arrow and the number of leaves
// below it; the first of them is the file's leaf number first.
func arrowField(node schema.Node, first int) (out pqarrow.SchemaField, leaves int, err error) {
	leaves = countLeaves(node)
	defer guard(&err)
	group, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, schema.FieldList{node}, -1)
	if err != nil {
		return out, leaves, err
	}
	manifest, err := pqarrow.NewSchemaManifest(schema.NewSchema(group), nil, nil)
	if err != nil {
		return out, leaves, err
	}
	out = manifest.Fields[0]
	shiftLeaves(&out, first)
	return out, leaves, nil
}

func countLeaves(node schema.Node) int {
	group, ok := node.(*schema.GroupNode)
	if !ok {
		return 1
	}
	n := 0
	for i := range group.NumFields() {
		n += countLeaves(group.Field(i))
	}
	return n
}

// isLeaf tells leaves from groups. SchemaField.IsLeaf does not: it takes nested
// structs for leaves.
func isLeaf(f pqarrow.SchemaField) bool { return len(f.Children) == 0 }

func shiftLeaves(f *pqarrow.SchemaField, by int) {
	if isLeaf(*f) {
		f.ColIndex += by
	}
	for i := range f.Children {
		shiftLeaves(&f.Children[i], by)
	}
}

func (f *parquetFile) fields() []arrow.Field     { return f.arrow }
func (f *parquetFile) footer() [sha256.Size]byte { return f.hash }
func (f *parquetFile) rows() int64               { return f.meta.NumRows }
func (f *parquetFile) rowGroups() int            { return len(f.meta.RowGroups) }

// at follows a path to a column.
func (f *parquetFile) at(path []int) pqarrow.SchemaField {
	field := f.columns[path[0]]
	for _, i := range path[1:] {
		field = field.Children[i]
	}
	return field
}

// leavesOf are the numbers of the leaves that make up a column.
func leavesOf(f pqarrow.SchemaField) []int {
	if isLeaf(f) {
		return []int{f.ColIndex}
	}
	var out []int
	for _, c := range f.Children {
		out = append(out, leavesOf(c)...)
	}
	return out
}

func (f *parquetFile) check(paths [][]int) error {
	for _, path := range paths {
		if path == nil {
			continue
		}
		for _, leaf := range leavesOf(f.at(path)) {
			for g := range f.meta.RowGroups {
				if _, err := f.chunk(g, leaf); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// chunk checks what the footer says of one leaf in one row group.
func (f *parquetFile) chunk(group, leaf int) (chunk, error) {
	descr := f.meta.Schema.Column(leaf)
	c := chunk{
		column: descr.Path(), physical: descr.PhysicalType(),
		maxRep: descr.MaxRepetitionLevel(), maxDef: descr.MaxDefinitionLevel(),
	}
	raw := f.meta.RowGroups[group].Columns[leaf]
	if raw != nil && raw.IsSetCryptoMetadata() {
		return c, columnError(schemas.ErrorSegmentUnreadable, c.column, "%w", errEncrypted)
	}
	if raw == nil || raw.MetaData == nil {
		return c, c.damaged("its footer does not say where the column lies")
	}
	if raw.IsSetFilePath() && raw.GetFilePath() != "" {
		return c, columnError(schemas.ErrorSegmentUnreadable, c.column, "the column lies in another file, which this program does not follow; write the file as a whole")
	}
	col, err := f.meta.RowGroup(group).ColumnChunk(leaf)
	if err != nil {
		return c, c.damaged("%v", err)
	}
	c.start, c.length = col.DataPageOffset(), col.TotalCompressedSize()
	if col.HasDictionaryPage() && col.DictionaryPageOffset() > 0 && col.DictionaryPageOffset() < c.start {
		c.start = col.DictionaryPageOffset()
	}
	c.values, c.codec = col.NumValues(), col.Compression()
	rows := f.meta.RowGroups[group].NumRows
	switch {
	case c.start < int64(len(magicParquet)) || c.length < 0 || c.start > f.body || c.length > f.body-c.start:
		return c, c.damaged("row group %d claims that it lies outside of the file", group)
	case c.values < 0, descr.MaxRepetitionLevel() == 0 && c.values != rows, c.values < rows:
		return c, c.damaged("row group %d has %d rows and claims %d values", group, rows, c.values)
	case c.codec == compress.Codecs.Lz4, int(c.codec) == codecLz4Raw, c.codec == compress.Codecs.Lzo:
		return c, columnError(schemas.ErrorSegmentUnreadable, c.column, "it is compressed with %s, which this program can't read; write the file again with snappy or zstd", codecName(c.codec))
	}
	for _, e := range col.Encodings() {
		if e == encodingByteStreamSplit {
			return c, errByteStreamSplit(c.column)
		}
	}
	return c, nil
}

// codecLz4Raw is LZ4_RAW in parquet.thrift, for which Arrow v15 has no name.
const codecLz4Raw = 7

func codecName(c compress.Compression) string {
	switch {
	case int(c) == codecLz4Raw:
		return "LZ4_RAW"
	case c == compress.Codecs.Lz4:
		return "LZ4"
	}
	return "LZO"
}

// open starts reading the row groups one after the other.
func (f *parquetFile) open(paths [][]int, opts Options) (batches, error) {
	mem := newBudget()
	props := parquet.NewReaderProperties(mem)
	// Only this keeps Arrow from reading a row group's columns whole.
	props.BufferedStreamEnabled = true
	props.BufferSize = 64 << 10
	in := &checkedReader{source: f.src}
	pf, err := file.NewParquetReader(in, file.WithMetadata(f.meta), file.WithReadProps(props))
	if err != nil {
		return nil, err
	}
	// NewFileReader wants to know every column of the file in Arrow's terms, and
	// fails where one has none. f.columns has what it would find.
	all := f.meta.Schema
	none, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, nil, -1)
	if err != nil {
		return nil, err
	}
	f.meta.Schema = schema.NewSchema(none)
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, mem)
	f.meta.Schema = all
	if err != nil {
		return nil, err
	}
	r := &parquetReader{file: f, in: in, reader: fr, mem: mem, opts: opts, group: -1}
	for _, path := range paths {
		if path == nil {
			r.columns = append(r.columns, nil)
			continue
		}
		r.columns = append(r.columns, newParquetNode(f.at(path), &r.leaves))
	}
	// With the leaves in place of the top-level columns Arrow reads each for
	// itself, in this goroutine; it reads a struct's children in goroutines of
	// its own, where a panic could not be caught.
	fr.Manifest.Fields = nil
	for _, l := range r.leaves {
		fr.Manifest.Fields = append(fr.Manifest.Fields, l.field)
	}
	return r, nil
}

// parquetReader reads a file's row groups in turn.
type parquetReader struct {
	file    *parquetFile
	in      *checkedReader
	reader  *pqarrow.FileReader
	mem     *budget
	opts    Options
	columns []*parquetNode // by mapped column; nil for one that the file lacks
	leaves  []*parquetNode
	group   int
	left    int64 // rows of the group still to come
	batch   int   // rows of a batch in this group
}

func (r *parquetReader) next() ([]arrow.Array, int, error) {
	for r.left == 0 {
		r.closeGroup()
		if err := r.in.finish(); err != nil {
			return nil, 0, err
		}
		if r.group++; r.group >= r.file.rowGroups() {
			return nil, 0, io.EOF
		}
		if err := r.openGroup(); err != nil {
			return nil, 0, err
		}
	}
	rows := int(min(r.left, int64(r.batch)))
	r.mem.reset()
	out, err := parallel(len(r.columns), r.opts.Parallel, func(i int) (arrow.Array, error) {
		if r.columns[i] == nil {
			return array.NewNull(rows), nil
		}
		return r.columns[i].read(r.mem, rows, r.group)
	})
	if err != nil {
		return nil, 0, err
	}
	r.left -= int64(rows)
	return out, rows, nil
}

// batchBytes is about how many bytes of values a batch has at most: rows with
// large values come in smaller batches.
const batchBytes = 32 << 20

func (r *parquetReader) openGroup() error {
	r.left = r.file.meta.RowGroups[r.group].NumRows
	if r.left == 0 {
		return nil
	}
	walks := make([]*pageWalk, len(r.leaves))
	var pages openPages
	for i, l := range r.leaves {
		c, err := r.file.chunk(r.group, l.field.ColIndex)
		if err != nil {
			return err
		}
		walks[i] = newPageWalk(c, r.file.src, &pages)
	}
	r.in.begin(walks)
	var size int64
	for i, l := range r.leaves {
		var err error
		if col := r.file.meta.RowGroups[r.group].Columns[l.field.ColIndex].MetaData; col.TotalUncompressedSize > 0 {
			size += col.TotalUncompressedSize
		}
		if l.leaf, err = r.reader.GetFieldReader(context.Background(), i, map[int]bool{l.field.ColIndex: true}, []int{r.group}); err != nil {
			return columnError(schemas.ErrorSegmentUnreadable, walks[i].column, "%w", err)
		}
	}
	r.batch = r.opts.BatchRows
	if perRow := size / r.left; perRow > 0 {
		r.batch = int(max(1, min(int64(r.batch), batchBytes/perRow)))
	}
	return nil
}

func (r *parquetReader) closeGroup() {
	for _, l := range r.leaves {
		if l.leaf != nil {
			l.leaf.Release()
			l.leaf = nil
		}
	}
}

func (r *parquetReader) close() { r.closeGroup() }
