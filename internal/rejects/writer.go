// Package rejects writes and reads rejects.parquet: the rows of a segment that
// were not sent, each with the reason (schemas.RejectSchema). The file holds
// people's data; the errors of this package don't.
package rejects

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

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
	// Column is the column at fault and Value what stands there, nil for nothing.
	Column string
	Value  []byte
	Reason schemas.Reason
}

const (
	// groupRows is how many rows are gathered before they are written.
	groupRows = 64 << 10
	// groupBytes bounds the values among them, in bytes.
	groupBytes = 16 << 20
	// mostValue is the longest value that is kept whole, in bytes.
	mostValue = 4 << 10
)

// Writer writes a rejects file. It is not safe for concurrent use. What it keeps
// in memory is at most 64 Ki rows or 16 MiB of values.
type Writer struct {
	out     io.Writer
	file    *pqarrow.FileWriter
	build   *array.RecordBuilder
	rows    int64
	pending int
	bytes   int
	scratch []byte
}

// NewWriter starts a file on out, which Close does not close.
func NewWriter(out io.Writer) *Writer {
	return &Writer{out: out, build: array.NewRecordBuilder(memory.DefaultAllocator, schemas.RejectSchema)}
}

// Add appends a row. It copies what it keeps. Bytes of a value that are not
// UTF-8 are written as \xNN, and a value over 4 KiB is cut short, with its length.
func (w *Writer) Add(r Reject) error {
	text := func(column int, s string) { w.build.Field(column).(*array.StringBuilder).Append(s) }
	text(0, r.File)
	w.build.Field(1).(*array.Int64Builder).Append(r.Row)
	text(2, r.Column)
	if value := w.build.Field(3).(*array.StringBuilder); r.Value == nil {
		value.AppendNull()
	} else {
		kept := w.readable(r.Value)
		value.BinaryBuilder.Append(kept)
		w.bytes += len(kept)
	}
	text(4, string(r.Reason))
	text(5, r.Reason.Sentence())
	w.rows++
	w.pending++
	if w.pending >= groupRows || w.bytes >= groupBytes {
		return w.flush()
	}
	return nil
}

// readable gives a value as valid UTF-8 of bounded length.
func (w *Writer) readable(value []byte) []byte {
	short := value
	if len(value) > mostValue {
		short = value[:mostValue]
		for i := 1; i < utf8.UTFMax && len(short) > 0 && !utf8.RuneStart(value[len(short)]); i++ {
			short = short[:len(short)-1] // not in the middle of a character
		}
	}
	if len(short) == len(value) && utf8.Valid(value) {
		return value
	}
	out := w.scratch[:0]
	for rest := short; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			out = fmt.Appendf(out, `\x%02x`, rest[0])
		} else {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	if len(short) < len(value) {
		out = append(out, "… ("...)
		out = strconv.AppendInt(out, int64(len(value)), 10)
		out = append(out, " bytes)"...)
	}
	w.scratch = out
	return out
}

// Rows is how many rows were added.
func (w *Writer) Rows() int64 { return w.rows }

// open starts the Parquet file, when the first rows or its end are written.
func (w *Writer) open() error {
	if w.file != nil {
		return nil
	}
	var err error
	w.file, err = pqarrow.NewFileWriter(schemas.RejectSchema, keepOpen{w.out},
		parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryDefault(true),
			parquet.WithDictionaryFor("value", false), parquet.WithStats(false)),
		pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return fmt.Errorf("start the rejects file: %w", err)
	}
	return nil
}

func (w *Writer) flush() error {
	if err := w.open(); err != nil {
		return err
	}
	rec := w.build.NewRecord()
	defer rec.Release()
	w.pending, w.bytes = 0, 0
	if err := w.file.Write(rec); err != nil {
		return fmt.Errorf("write the rejects file: %w", err)
	}
	return nil
}

// Close writes what is left and the footer. A second call does nothing.
func (w *Writer) Close() error {
	if w.build == nil {
		return nil
	}
	var err error
	if w.pending > 0 {
		err = w.flush()
	}
	err = errors.Join(err, w.open())
	w.build.Release()
	w.build = nil
	if err == nil {
		err = w.file.Close()
	}
	if err != nil {
		return fmt.Errorf("end the rejects file: %w", err)
	}
	return nil
}

// keepOpen hides a Close method: Parquet's writer would close what it writes to.
type keepOpen struct{ io.Writer }
