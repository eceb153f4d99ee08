package rejects

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// Row is what became of a row of a segment, or of a member of its list.
type Row struct {
	// Email and UserID identify the person; both may be empty.
	Email, UserID []byte
	// Person is the hash in place of both, in hexadecimal, of a row that was read.
	Person  []byte
	Outcome schemas.Outcome
	Reason  schemas.Reason
	// Column is the column at fault, or the columns whose values were left out, if any.
	Column string
	// File is the source file's name, empty if no row of the segment has the person, and Row
	// the row's number in it, from 0.
	File string
	Row  int64
	// Request names the request that sent the profile, empty if none did, and At is when it was
	// answered; zero is unknown.
	Request string
	At      time.Time
}

// Columns of rows.parquet, in the order of schemas.RowSchema.
const (
	rowEmail = iota
	rowUserID
	rowPerson
	rowOutcome
	rowReason
	rowColumn
	rowFile
	rowRow
	rowRequest
	rowTime
)

// rowWriteSchema is schemas.RowSchema with a dictionary for the outcome, as writeSchema has. The
// other texts that repeat can be null, and Parquet's writer panics at a nullable dictionary
// column of many rows without a null.
var rowWriteSchema = func() *arrow.Schema {
	fields := slices.Clone(schemas.RowSchema.Fields())
	fields[rowOutcome].Type = fewTexts
	return arrow.NewSchema(fields, nil)
}()

// RowWriter writes a rows file. It is not safe for concurrent use. It keeps at most 64 Ki rows
// or 16 MiB of texts in memory. After an error every call returns that error.
type RowWriter struct {
	out      *sink
	file     *pqarrow.FileWriter
	hash     bool
	texts    [rowTime]*array.StringBuilder // of the columns of text that can be null
	outcomes texts
	rows     *array.Int64Builder
	times    *array.TimestampBuilder
	pending  int
	bytes    int
	written  int64
	err      error
}

// NewRowWriter starts a file on out, which Close does not close. With identity
// schemas.IdentityHash it has hashes in place of addresses and user IDs.
func NewRowWriter(out io.Writer, identity string) (*RowWriter, error) {
	mem := memory.DefaultAllocator
	w := &RowWriter{
		out: &sink{w: out}, hash: identity == schemas.IdentityHash,
		outcomes: newTexts(),
		rows:     array.NewInt64Builder(mem), times: array.NewTimestampBuilder(mem, arrow.FixedWidthTypes.Timestamp_ms.(*arrow.TimestampType)),
	}
	for _, c := range []int{rowEmail, rowUserID, rowPerson, rowReason, rowColumn, rowFile, rowRequest} {
		w.texts[c] = array.NewStringBuilder(mem)
	}
	props := []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Snappy), parquet.WithDictionaryDefault(true), parquet.WithStats(false)}
	for _, c := range []int{rowEmail, rowUserID, rowPerson, rowRow} {
		props = append(props, parquet.WithDictionaryFor(rowWriteSchema.Field(c).Name, false))
	}
	var err error
	w.file, err = pqarrow.NewFileWriter(rowWriteSchema, w.out, parquet.NewWriterProperties(props...), pqarrow.DefaultWriterProps())
	return w, w.out.failure("the record of rows", nil, err)
}

// Add appends a row. It copies what it keeps.
func (w *RowWriter) Add(r Row) error {
	if w.err != nil {
		return w.err
	}
	switch {
	case len(r.Person) > 0:
		w.texts[rowEmail].AppendNull()
		w.texts[rowUserID].AppendNull()
		w.addText(rowPerson, r.Person)
	case w.hash:
		w.addHash(&r)
	default:
		w.addText(rowEmail, r.Email)
		w.addText(rowUserID, r.UserID)
		w.texts[rowPerson].AppendNull()
	}
	w.bytes += w.outcomes.add(string(r.Outcome))
	w.addName(rowReason, string(r.Reason))
	w.addName(rowColumn, ReadableName(r.Column))
	w.addName(rowRequest, r.Request)
	if w.addName(rowFile, ReadableName(r.File)); r.File == "" {
		w.rows.AppendNull()
	} else {
		w.rows.Append(r.Row)
	}
	if r.At.IsZero() {
		w.times.AppendNull()
	} else {
		w.times.Append(arrow.Timestamp(r.At.UnixMilli()))
	}
	w.written++
	if w.pending++; w.pending >= groupRows || w.bytes >= groupBytes {
		w.err = w.flush()
	}
	return w.err
}

func (w *RowWriter) addText(column int, value []byte) {
	if len(value) == 0 {
		w.texts[column].AppendNull()
		return
	}
	var scratch []byte
	value = readable(&scratch, value)
	w.texts[column].BinaryBuilder.Append(value)
	w.bytes += len(value)
}

// addHash appends the hash of the person of a row, if it names one.
func (w *RowWriter) addHash(r *Row) {
	w.texts[rowEmail].AppendNull()
	w.texts[rowUserID].AppendNull()
	id := r.Email
	if len(id) == 0 {
		id = r.UserID
	}
	if len(id) == 0 {
		w.texts[rowPerson].AppendNull()
		return
	}
	sum := sha256.Sum256(id)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	w.texts[rowPerson].BinaryBuilder.Append(text[:])
	w.bytes += len(text)
}

// addName appends a text, or a null where it is empty.
func (w *RowWriter) addName(column int, s string) {
	if s == "" {
		w.texts[column].AppendNull()
		return
	}
	w.texts[column].Append(s)
	w.bytes += len(s)
}

// flush writes the collected rows as a row group.
func (w *RowWriter) flush() (err error) {
	defer func() { err = w.out.failure("the record of rows", recover(), err) }()
	cols := []arrow.Array{
		rowEmail: w.texts[rowEmail].NewArray(), rowUserID: w.texts[rowUserID].NewArray(), rowPerson: w.texts[rowPerson].NewArray(),
		rowOutcome: w.outcomes.column(), rowReason: w.texts[rowReason].NewArray(), rowColumn: w.texts[rowColumn].NewArray(), rowFile: w.texts[rowFile].NewArray(),
		rowRow: w.rows.NewArray(), rowRequest: w.texts[rowRequest].NewArray(), rowTime: w.times.NewArray(),
	}
	rec := array.NewRecord(rowWriteSchema, cols, int64(w.pending))
	defer rec.Release()
	w.pending, w.bytes = 0, 0
	return w.file.Write(rec)
}

// Close writes the remaining rows and the footer.
func (w *RowWriter) Close() (err error) {
	if w.err == nil && w.pending > 0 {
		w.err = w.flush()
	}
	if w.err != nil {
		return w.err
	}
	w.err = errors.New("write the record of rows: it is closed")
	defer func() { err = w.out.failure("the record of rows", recover(), err) }()
	return w.file.Close()
}
