package rejects

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
	Outcome       schemas.Outcome
	Reason        schemas.Reason
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
	rowFile
	rowRow
	rowRequest
	rowTime
)

// rowWriteSchema is schemas.RowSchema with dictionaries, as writeSchema is.
var rowWriteSchema = func() *arrow.Schema {
	fields := slices.Clone(schemas.RowSchema.Fields())
	for _, c := range []int{rowOutcome, rowReason, rowFile, rowRequest} {
		fields[c].Type = fewTexts
	}
	return arrow.NewSchema(fields, nil)
}()

// RowWriter writes a rows file. It is not safe for concurrent use. It keeps at most 64 Ki rows
// or 16 MiB of texts in memory. After an error every call returns that error.
type RowWriter struct {
	out      *sink
	file     *pqarrow.FileWriter
	hash     bool
	ids      [rowPerson + 1]*array.StringBuilder
	outcomes texts
	reasons  texts
	files    texts
	requests texts
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
		outcomes: newTexts(), reasons: newTexts(), files: newTexts(), requests: newTexts(),
		rows: array.NewInt64Builder(mem), times: array.NewTimestampBuilder(mem, arrow.FixedWidthTypes.Timestamp_ms.(*arrow.TimestampType)),
	}
	for i := range w.ids {
		w.ids[i] = array.NewStringBuilder(mem)
	}
	props := []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Snappy), parquet.WithDictionaryDefault(true), parquet.WithStats(false)}
	for _, c := range []int{rowEmail, rowUserID, rowPerson, rowRow} {
		props = append(props, parquet.WithDictionaryFor(rowWriteSchema.Field(c).Name, false))
	}
	var err error
	w.file, err = pqarrow.NewFileWriter(rowWriteSchema, w.out, parquet.NewWriterProperties(props...), pqarrow.DefaultWriterProps())
	return w, w.failure(nil, err)
}

// Add appends a row. It copies what it keeps.
func (w *RowWriter) Add(r Row) error {
	if w.err != nil {
		return w.err
	}
	if w.hash {
		w.addHash(&r)
	} else {
		w.addText(rowEmail, r.Email)
		w.addText(rowUserID, r.UserID)
		w.ids[rowPerson].AppendNull()
	}
	w.bytes += w.outcomes.add(string(r.Outcome)) + addNullable(&w.reasons, string(r.Reason)) + addNullable(&w.requests, r.Request)
	if w.bytes += addNullable(&w.files, r.File); r.File == "" {
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
		w.ids[column].AppendNull()
		return
	}
	var scratch []byte
	value = readable(&scratch, value)
	w.ids[column].BinaryBuilder.Append(value)
	w.bytes += len(value)
}

// addHash appends the hash of the person of a row, if it names one.
func (w *RowWriter) addHash(r *Row) {
	w.ids[rowEmail].AppendNull()
	w.ids[rowUserID].AppendNull()
	id := r.Email
	if len(id) == 0 {
		id = r.UserID
	}
	if len(id) == 0 {
		w.ids[rowPerson].AppendNull()
		return
	}
	sum := sha256.Sum256(id)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	w.ids[rowPerson].BinaryBuilder.Append(text[:])
	w.bytes += len(text)
}

// addNullable appends a text, or a null where it is empty.
func addNullable(t *texts, s string) int {
	if s == "" {
		t.indices.AppendNull()
		return 0
	}
	return t.add(s)
}

// Rows returns the number of rows added.
func (w *RowWriter) Rows() int64 { return w.written }

// flush writes the collected rows as a row group.
func (w *RowWriter) flush() (err error) {
	defer func() { err = w.failure(recover(), err) }()
	cols := []arrow.Array{
		rowEmail: w.ids[rowEmail].NewArray(), rowUserID: w.ids[rowUserID].NewArray(), rowPerson: w.ids[rowPerson].NewArray(),
		rowOutcome: w.outcomes.column(), rowReason: w.reasons.column(), rowFile: w.files.column(),
		rowRow: w.rows.NewArray(), rowRequest: w.requests.column(), rowTime: w.times.NewArray(),
	}
	rec := array.NewRecord(rowWriteSchema, cols, int64(w.pending))
	defer rec.Release()
	w.pending, w.bytes = 0, 0
	return w.file.Write(rec)
}

// failure returns the error of a write. Parquet's writer ignores some errors of its output, and
// panics at others.
func (w *RowWriter) failure(panicked any, err error) error {
	if w.out.err != nil {
		err = w.out.err
	}
	if err == nil && panicked != nil {
		err = errors.New("the Parquet library failed")
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("write the record of rows: %w", err)
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
	defer func() { err = w.failure(recover(), err) }()
	return w.file.Close()
}
