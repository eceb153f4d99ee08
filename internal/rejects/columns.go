package rejects

import (
	"errors"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
)

// column collects the values of a column for a row group. Its memory is used again for the next.
type column interface {
	// write writes the values with the writer of the column's next chunk, and forgets them.
	write(file.ColumnChunkWriter) error
}

// levels has an element for each row: 1 if the row has a value, 0 for a null. Those of a column
// that can't be null are not read.
type levels []int16

func (l *levels) value() { *l = append(*l, 1) }
func (l *levels) null()  { *l = append(*l, 0) }

// values collects a column of texts that are mostly distinct.
type values struct {
	levels levels
	data   []byte
	ends   []int // of each text in data
	texts  []parquet.ByteArray
}

// add adds the text of a row.
func (v *values) add(text []byte) {
	v.levels.value()
	v.data = append(v.data, text...)
	v.ends = append(v.ends, len(v.data))
}

func (v *values) write(to file.ColumnChunkWriter) error {
	w, ok := to.(*file.ByteArrayColumnChunkWriter)
	if !ok {
		return errColumn
	}
	start := 0
	for _, end := range v.ends {
		v.texts = append(v.texts, v.data[start:end:end])
		start = end
	}
	_, err := w.WriteBatch(v.texts, v.levels, nil)
	v.levels, v.data, v.ends, v.texts = v.levels[:0], v.data[:0], v.ends[:0], v.texts[:0]
	return err
}

// integers collects a column of integers or times.
type integers struct {
	levels levels
	values []int64
}

func (n *integers) add(value int64) {
	n.levels.value()
	n.values = append(n.values, value)
}

func (n *integers) write(to file.ColumnChunkWriter) error {
	w, ok := to.(*file.Int64ColumnChunkWriter)
	if !ok {
		return errColumn
	}
	_, err := w.WriteBatch(n.values, n.levels, nil)
	n.levels, n.values = n.levels[:0], n.values[:0]
	return err
}

// texts collects a column whose texts repeat. Its chunk has a dictionary, and each text of that
// is looked up once for all the rows in a row that have it.
type texts struct {
	levels   levels
	known    map[string]int32
	last     string // the text added last, at lastAt
	lastAt   int32
	distinct []string
	indices  []int32 // of the row's text; 0 for a null
}

func newTexts() texts { return texts{known: make(map[string]int32), lastAt: -1} }

// add adds the text of a row, and returns the size of the text if it is new.
func (t *texts) add(s string) (bytes int) {
	t.levels.value()
	if t.lastAt >= 0 && s == t.last {
		t.indices = append(t.indices, t.lastAt)
		return 0
	}
	at, ok := t.known[s]
	if !ok {
		name := ReadableName(s)
		if at, ok = t.known[name]; !ok {
			at = int32(len(t.distinct))
			t.known[name] = at
			t.distinct = append(t.distinct, name)
		}
		t.known[s] = at
		bytes = len(s) + len(name)
	}
	t.last, t.lastAt = s, at
	t.indices = append(t.indices, at)
	return bytes
}

// null adds a row without a text.
func (t *texts) null() {
	t.levels.null()
	t.indices = append(t.indices, 0)
}

func (t *texts) write(to file.ColumnChunkWriter) error {
	defer t.forget()
	return writeDictionary(to, t.distinct, t.indices, t.levels)
}

func (t *texts) forget() {
	clear(t.known)
	t.last, t.lastAt = "", -1
	t.levels, t.distinct, t.indices = t.levels[:0], t.distinct[:0], t.indices[:0]
}

// writeDictionary writes rows that have the text of each index, or none where the level is 0.
func writeDictionary(to file.ColumnChunkWriter, distinct []string, indices []int32, levels levels) error {
	w, ok := to.(*file.ByteArrayColumnChunkWriter)
	if !ok {
		return errColumn
	}
	if len(distinct) == 0 {
		_, err := w.WriteBatch(nil, levels, nil)
		return err
	}
	encoder, ok := w.CurrentEncoder().(interface{ PutDictionary(arrow.Array) error })
	if !ok {
		return errColumn
	}
	texts := array.NewStringBuilder(memory.DefaultAllocator)
	texts.AppendStringValues(distinct, nil)
	dictionary := texts.NewArray()
	defer dictionary.Release()
	if err := encoder.PutDictionary(dictionary); err != nil {
		return err
	}
	var valid *memory.Buffer
	nulls := 0
	if w.Descr().MaxDefinitionLevel() > 0 && slices.Contains(levels, 0) {
		bits := make([]byte, bitutil.BytesForBits(int64(len(levels))))
		for i, level := range levels {
			bitutil.SetBitTo(bits, i, level != 0)
			nulls += int(1 - level)
		}
		valid = memory.NewBufferBytes(bits)
	}
	data := array.NewData(arrow.PrimitiveTypes.Int32, len(indices), []*memory.Buffer{valid, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(indices))}, nil, nulls, 0)
	defer data.Release()
	column := array.NewInt32Data(data)
	defer column.Release()
	return w.WriteDictIndices(column, levels, nil)
}

// errColumn is the error of a column whose writer is not of its type.
var errColumn = errors.New("the Parquet library has another writer for a column")
