package rejects

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

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

// Columns of rows.parquet, in the order of RowSchema.
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

// RowWriter writes a rows file. It is not safe for concurrent use. It keeps at most 64 Ki rows
// or 16 MiB of texts in memory. After an error every call returns that error.
type RowWriter struct {
	table
	hash                                        bool
	email, userID, person                       values
	outcomes, reasons, columns, files, requests texts
	numbers, times                              integers
	scratch                                     []byte
}

// NewRowWriter starts a file on out, which Close does not close. With identity
// schemas.IdentityHash it has hashes in place of addresses and user IDs.
func NewRowWriter(out io.Writer, identity string) *RowWriter {
	w := &RowWriter{
		hash:     identity == schemas.IdentityHash,
		outcomes: newTexts(), reasons: newTexts(), columns: newTexts(), files: newTexts(), requests: newTexts(),
	}
	w.table = newTable("the record of rows", out, RowSchema, []column{
		rowEmail: &w.email, rowUserID: &w.userID, rowPerson: &w.person, rowOutcome: &w.outcomes, rowReason: &w.reasons,
		rowColumn: &w.columns, rowFile: &w.files, rowRow: &w.numbers, rowRequest: &w.requests, rowTime: &w.times,
	}...)
	return w
}

// Add appends a row. It copies what it keeps.
func (w *RowWriter) Add(r Row) error {
	if w.err != nil {
		return w.err
	}
	switch {
	case len(r.Person) > 0:
		r.Email, r.UserID = nil, nil
	case w.hash:
		r.Person = hashOf(&r)
		r.Email, r.UserID = nil, nil
	}
	bytes := w.addText(&w.email, r.Email) + w.addText(&w.userID, r.UserID) + w.addText(&w.person, r.Person)
	bytes += w.outcomes.add(string(r.Outcome)) + addName(&w.reasons, string(r.Reason)) + addName(&w.columns, r.Column)
	bytes += addName(&w.files, r.File) + addName(&w.requests, r.Request)
	if r.File == "" {
		w.numbers.levels.null()
	} else {
		w.numbers.add(r.Row)
	}
	if r.At.IsZero() {
		w.times.levels.null()
	} else {
		w.times.add(r.At.UnixMilli())
	}
	return w.added(bytes)
}

// addText adds a text, or a null where it is empty, and returns its size.
func (w *RowWriter) addText(column *values, text []byte) (bytes int) {
	if len(text) == 0 {
		column.levels.null()
		return 0
	}
	text = readable(&w.scratch, text)
	column.add(text)
	return len(text)
}

// addName adds a name, or a null where it is empty, and returns its size if it is new.
func addName(column *texts, name string) (bytes int) {
	if name == "" {
		column.null()
		return 0
	}
	return column.add(name)
}

// hashOf returns the hash of the person of a row in hexadecimal, nil if the row names no person.
func hashOf(r *Row) []byte {
	id := r.Email
	if len(id) == 0 {
		id = r.UserID
	}
	if len(id) == 0 {
		return nil
	}
	sum := sha256.Sum256(id)
	return hex.AppendEncode(nil, sum[:])
}
