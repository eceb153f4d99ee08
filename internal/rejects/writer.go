// Package rejects writes and reads rejects.parquet: the rows of a segment that were not sent,
// each with the reason. It also writes rows.parquet: what became of each row
// (RowSchema). The files contain profiles' data; the errors of
// this package do not.
package rejects

import (
	"io"

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

// Columns of the file, in the order of rejectSchema.
const (
	colFile = iota
	colRow
	colColumn
	colValue
	colReason
	colMessage
	numColumns
)

// Writer writes a rejects file. It is not safe for concurrent use. It keeps at most 64 Ki rows
// or 16 MiB of texts in memory. After an error every call returns that error.
type Writer struct {
	table
	files, columns, whys, sentences texts
	numbers                         integers
	values                          values
	scratch                         []byte
}

// NewWriter starts a file on out, which Close does not close.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{files: newTexts(), columns: newTexts(), whys: newTexts(), sentences: newTexts()}
	w.table = newTable("the rejects file", out, rejectSchema, []column{
		colFile: &w.files, colRow: &w.numbers, colColumn: &w.columns, colValue: &w.values, colReason: &w.whys, colMessage: &w.sentences,
	}...)
	return w
}

// Add appends a row. It copies what it keeps. Bytes that are not UTF-8 are written as \xNN, and
// a value over 4 KiB is truncated, with its length. The value of a forgotten profile is not
// written.
func (w *Writer) Add(r Reject) error {
	if w.err != nil {
		return w.err
	}
	bytes := w.files.add(r.File) + w.columns.add(r.Column) + w.whys.add(string(r.Reason)) + w.sentences.add(r.Reason.Sentence())
	w.numbers.add(r.Row)
	if r.Value == nil || r.Reason == schemas.ReasonIterableForgotten {
		w.values.levels.null()
	} else {
		kept := readable(&w.scratch, r.Value)
		w.values.add(kept)
		bytes += len(kept)
	}
	return w.added(bytes)
}
