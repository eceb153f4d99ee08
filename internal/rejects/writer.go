// Package rejects writes and reads rejects.parquet: the rows of a segment that were not sent,
// each with the reason (schemas.RejectSchema). It also writes rows.parquet: what became of each row
// (schemas.RowSchema). The files contain profiles' data; the errors of
// this package do not.
package rejects

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// Reject is a row that was not sent.
type Reject struct {
	// File is the source file's name, Row the row's number in it, from 0.
	File string
	Row  int64
	// Column is the column at fault, and Value its value, nil if there is none.
	Column string
	Value  []byte
	Reason schemas.Reason
}

const (
	// groupRows is the most rows of a row group.
	groupRows = 64 << 10
	// groupBytes is the most bytes of their texts.
	groupBytes = 16 << 20
)

// Columns of the file, in the order of schemas.RejectSchema.
const (
	colFile = iota
	colRow
	colColumn
	colValue
	colReason
	colMessage
	numColumns
)

// fewTexts is the type of a column with few distinct values.
var fewTexts = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}

// writeSchema is schemas.RejectSchema with dictionaries for what repeats. Parquet has no such
// type, so the file is the same, but its encoder need not look up each row's texts.
var writeSchema = func() *arrow.Schema {
	fields := slices.Clone(schemas.RejectSchema.Fields())
	for _, c := range []int{colFile, colColumn, colReason, colMessage} {
		fields[c].Type = fewTexts
	}
	return arrow.NewSchema(fields, nil)
}()

// errClosed is the error for a row after Close.
var errClosed = errors.New("write the rejects file: it is closed")

// Writer writes a rejects file. It is not safe for concurrent use. It keeps at most 64 Ki rows
// or 16 MiB of texts in memory. After an error every call returns that error.
type Writer struct {
	out                   *sink
	file                  *pqarrow.FileWriter
	files, columns, whys  texts
	numbers               *array.Int64Builder
	values                *array.StringBuilder
	sentences             *array.StringBuilder // one for each text of whys
	rows                  int64
	pending, pendingBytes int
	scratch               []byte
	err                   error
}

// NewWriter starts a file on out, which Close does not close.
func NewWriter(out io.Writer) *Writer {
	mem := memory.DefaultAllocator
	return &Writer{
		out:   &sink{w: out},
		files: newTexts(), columns: newTexts(), whys: newTexts(),
		numbers: array.NewInt64Builder(mem), values: array.NewStringBuilder(mem), sentences: array.NewStringBuilder(mem),
	}
}

// Add appends a row. It copies what it keeps. Bytes that are not UTF-8 are written as \xNN, and
// a value over 4 KiB is truncated, with its length. The value of a forgotten profile is not
// written.
func (w *Writer) Add(r Reject) error {
	if w.err != nil {
		return w.err
	}
	w.pendingBytes += w.files.add(r.File) + w.columns.add(r.Column)
	if added := w.whys.add(string(r.Reason)); added > 0 {
		w.sentences.Append(r.Reason.Sentence())
		w.pendingBytes += added
	}
	w.numbers.Append(r.Row)
	if r.Value == nil || r.Reason == schemas.ReasonIterableForgotten {
		w.values.AppendNull()
	} else {
		kept := readable(&w.scratch, r.Value)
		w.values.BinaryBuilder.Append(kept)
		w.pendingBytes += len(kept)
	}
	w.rows++
	w.pending++
	if w.pending >= groupRows || w.pendingBytes >= groupBytes {
		w.err = w.flush()
	}
	return w.err
}

// Rows returns the number of rows added.
func (w *Writer) Rows() int64 { return w.rows }

// open starts the Parquet file before its first row group or its footer.
func (w *Writer) open() error {
	if w.file != nil {
		return nil
	}
	var err error
	w.file, err = pqarrow.NewFileWriter(writeSchema, w.out,
		parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy), parquet.WithDictionaryDefault(true),
			parquet.WithDictionaryFor("value", false), parquet.WithStats(false)),
		pqarrow.DefaultWriterProps())
	return err
}

// flush writes the collected rows as a row group.
func (w *Writer) flush() (err error) {
	defer func() { err = w.out.failure("the rejects file", recover(), err) }()
	if err := w.open(); err != nil {
		return err
	}
	whys := w.whys.indices.NewArray()
	cols := [numColumns]arrow.Array{
		colFile: w.files.column(), colRow: w.numbers.NewArray(), colColumn: w.columns.column(), colValue: w.values.NewArray(),
		colReason:  array.NewDictionaryArray(fewTexts, whys, w.whys.distinct.NewArray()),
		colMessage: array.NewDictionaryArray(fewTexts, whys, w.sentences.NewArray()),
	}
	w.whys.forget()
	rec := array.NewRecord(writeSchema, cols[:], int64(w.pending))
	defer rec.Release()
	w.pending, w.pendingBytes = 0, 0
	return w.file.Write(rec)
}

// Close writes the remaining rows and the footer. A second call only returns an earlier error.
func (w *Writer) Close() error {
	if w.err != nil {
		if errors.Is(w.err, errClosed) {
			return nil
		}
		return w.err
	}
	if w.pending > 0 {
		w.err = w.flush()
	}
	if w.err == nil {
		w.err = w.end()
	}
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

// end writes the footer.
func (w *Writer) end() (err error) {
	defer func() { err = w.out.failure("the rejects file", recover(), err) }()
	if err := w.open(); err != nil {
		return err
	}
	return w.file.Close()
}

// sink is the output of a file. It has no Close method, which Parquet's writer would call, and
// remembers its first error.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// failure returns the error of writing a Parquet file to the sink. Parquet's writer ignores
// some errors of its output, and panics at others.
func (s *sink) failure(file string, panicked any, err error) error {
	if s.err != nil {
		err = s.err
	}
	if err == nil && panicked != nil {
		err = errors.New("the Parquet library failed")
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("write %s: %w", file, err)
}
