package rejects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// FindRows calls yield with a copy of each row of a rows file for which is reports true. It reads
// the whole file. Damage of any kind is an ErrDamaged.
func FindRows(ctx context.Context, f storage.File, is func(*Row) bool, yield func(Row) error) error {
	return ReadRows(ctx, f, func(r *Row) error {
		if !is(r) {
			return nil
		}
		found := *r
		found.Outcome, found.Reason = schemas.Outcome(strings.Clone(string(r.Outcome))), schemas.Reason(strings.Clone(string(r.Reason)))
		found.Column, found.File, found.Request = strings.Clone(r.Column), strings.Clone(r.File), strings.Clone(r.Request)
		found.Email, found.UserID, found.Person = bytes.Clone(r.Email), bytes.Clone(r.UserID), bytes.Clone(r.Person)
		return yield(found)
	})
}

// Is returns a function that reports whether a row is about the person with one of the
// normalised addresses or user IDs.
func Is(ids ...[]byte) func(*Row) bool {
	var hashes [][]byte
	for _, id := range ids {
		sum := sha256.Sum256(id)
		hashes = append(hashes, hex.AppendEncode(nil, sum[:]))
	}
	return func(r *Row) bool {
		for i, id := range ids {
			if bytes.Equal(r.Email, id) || bytes.Equal(r.UserID, id) || bytes.Equal(r.Person, hashes[i]) {
				return true
			}
		}
		return false
	}
}

// ReadRows calls yield with each row of a rows file. The row is valid until yield returns.
// Damage of any kind is an ErrDamaged.
func ReadRows(ctx context.Context, f storage.File, yield func(*Row) error) error {
	in, err := openBatches(ctx, f, "the record of rows", RowSchema)
	if err != nil {
		return err
	}
	for {
		rec, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := eachRow(rec, yield); err != nil {
			return err
		}
	}
}

// eachRow calls yield with each row of a record batch.
func eachRow(rec arrow.Record, yield func(*Row) error) error {
	text := func(c, i int) string {
		column := rec.Column(c).(*array.String)
		if column.IsNull(i) {
			return ""
		}
		return column.Value(i)
	}
	id := func(c, i int) []byte {
		s := text(c, i)
		return unsafe.Slice(unsafe.StringData(s), len(s)) // read only
	}
	numbers, times := rec.Column(rowRow).(*array.Int64), rec.Column(rowTime).(*array.Timestamp)
	for i := range int(rec.NumRows()) {
		row := Row{
			Email: id(rowEmail, i), UserID: id(rowUserID, i), Person: id(rowPerson, i),
			Outcome: schemas.Outcome(text(rowOutcome, i)), Reason: schemas.Reason(text(rowReason, i)), Column: text(rowColumn, i), File: text(rowFile, i), Request: text(rowRequest, i),
		}
		if numbers.IsValid(i) {
			row.Row = numbers.Value(i)
		}
		if times.IsValid(i) {
			row.At = times.Value(i).ToTime(arrow.Millisecond)
		}
		if err := yield(&row); err != nil {
			return err
		}
	}
	return nil
}
