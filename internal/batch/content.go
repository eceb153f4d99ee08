package batch

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/zeebo/xxh3"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// keySize is the size of a key in bytes.
const keySize = 16

// Columns of schemas.StagedSchema, by position.
const (
	colEmail = iota
	colUserID
	colDataFields
	colFile
	colRow
	colKey
	colFields
	columns
)

// text is a column of texts.
type text struct {
	columnar.Texts[int32]
	valid []byte // a bit for each row; nil if no row is null
}

func (t *text) at(i int) []byte {
	if t.valid != nil && !bitutil.BitIsSet(t.valid, i) {
		return nil
	}
	return t.At(i)
}

// content is the rows of a batch in Arrow's layout.
type content struct {
	n                         int
	email, userID, dataFields text
	file                      []int32
	row                       []int64
	key                       []byte
	fields                    []uint64
}

// sum returns the batch's checksum in the staged file.
func (c *content) sum() uint64 {
	const seed uint64 = 0x6261746368_01 // "batch", version 1
	h := seed ^ uint64(c.n)<<8
	for _, t := range [...]*text{&c.email, &c.userID, &c.dataFields} {
		h = xxh3.HashSeed(t.valid, h)
		h = xxh3.HashSeed(arrow.Int32Traits.CastToBytes(t.Offsets), h)
		h = xxh3.HashSeed(t.Data, h)
	}
	h = xxh3.HashSeed(arrow.Int32Traits.CastToBytes(c.file), h)
	h = xxh3.HashSeed(arrow.Int64Traits.CastToBytes(c.row), h)
	h = xxh3.HashSeed(c.key, h)
	return xxh3.HashSeed(arrow.Uint64Traits.CastToBytes(c.fields), h)
}

// record returns the content as an Arrow record. It shares the content's memory, so it is
// valid until the content changes.
func (c *content) record() arrow.Record {
	texts := [...]*text{&c.email, &c.userID, &c.dataFields}
	cols := make([]arrow.Array, columns)
	for i := range cols {
		field := schemas.StagedSchema.Field(i)
		var buffers []*memory.Buffer
		nulls := 0
		switch i {
		case colEmail, colUserID, colDataFields:
			t := texts[i]
			var valid *memory.Buffer
			if t.valid != nil {
				valid = memory.NewBufferBytes(t.valid)
				nulls = c.n - bitutil.CountSetBits(t.valid, 0, c.n)
			}
			buffers = []*memory.Buffer{valid, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(t.Offsets)), memory.NewBufferBytes(t.Data)}
		case colFile:
			buffers = []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.file))}
		case colRow:
			buffers = []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(c.row))}
		case colKey:
			buffers = []*memory.Buffer{nil, memory.NewBufferBytes(c.key)}
		case colFields:
			buffers = []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Uint64Traits.CastToBytes(c.fields))}
		}
		data := array.NewData(field.Type, c.n, buffers, nil, nulls, 0)
		cols[i] = array.MakeFromData(data)
		data.Release()
	}
	rec := array.NewRecord(schemas.StagedSchema, cols, int64(c.n))
	for _, col := range cols {
		col.Release()
	}
	return rec
}

// contentOf returns the content of a record, after checking everything that the accessors
// rely on: columns in a damaged file can have other lengths than announced.
func contentOf(rec arrow.Record) (content, error) {
	c := content{n: int(rec.NumRows())}
	if c.n == 0 {
		return c, errors.New("it has no rows")
	}
	if rec.NumCols() != columns {
		return c, fmt.Errorf("it has %d columns instead of %d", rec.NumCols(), columns)
	}
	for i, t := range [...]*text{&c.email, &c.userID, &c.dataFields} {
		if err := t.set(rec.Column(i).Data(), c.n); err != nil {
			return c, fmt.Errorf("column %s: %w", rec.ColumnName(i), err)
		}
	}
	widths := [...]int{arrow.Int32SizeBytes, arrow.Int64SizeBytes, keySize, arrow.Uint64SizeBytes}
	fixed := [len(widths)][]byte{}
	for j, width := range widths {
		data := rec.Column(colFile + j).Data()
		if data.Len() != c.n || data.NullN() != 0 || len(data.Buffers()) != 2 || data.Buffers()[1] == nil || data.Buffers()[1].Len() < c.n*width {
			return c, fmt.Errorf("column %s does not have a value for each of its %d rows", rec.ColumnName(colFile+j), c.n)
		}
		fixed[j] = data.Buffers()[1].Bytes()[:c.n*width]
	}
	c.file = arrow.Int32Traits.CastFromBytes(fixed[0])
	c.row = arrow.Int64Traits.CastFromBytes(fixed[1])
	c.key = fixed[2]
	c.fields = arrow.Uint64Traits.CastFromBytes(fixed[3])
	return c, nil
}

// set sets t to a column of n texts, after checking its offsets.
func (t *text) set(data arrow.ArrayData, n int) (err error) {
	if data.Len() != n || data.Offset() != 0 {
		return fmt.Errorf("it has %d texts from %d on instead of %d", data.Len(), data.Offset(), n)
	}
	t.Texts, err = columnar.TextsOf[int32](data)
	if err == nil && data.NullN() != 0 {
		nulls := data.Buffers()[0]
		if nulls == nil || nulls.Len() < int(bitutil.BytesForBits(int64(n))) {
			return errors.New("its bitmap of nulls is missing")
		}
		t.valid = nulls.Bytes()[:bitutil.BytesForBits(int64(n))]
	}
	return err
}
