package rejects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// FindRows calls yield with each row of a rows file that is about a person, whose normalised
// address or user ID is id. It reads the whole file. Damage of any kind is an ErrDamaged.
func FindRows(ctx context.Context, f storage.File, id []byte, yield func(Row) error) error {
	in := columnar.NewSource(ctx, f)
	err := findRows(ctx, in, id, yield)
	switch failed := in.Failed(); {
	case err == nil || ctx.Err() != nil:
		return err
	case failed != nil:
		return fmt.Errorf("read the record of rows: %w", failed)
	case errors.Is(err, ErrDamaged):
		return err
	}
	return fmt.Errorf("%w: %v", ErrDamaged, err)
}

func findRows(ctx context.Context, in *columnar.Source, id []byte, yield func(Row) error) (err error) {
	defer columnar.Guard(&err)
	mem := &budget{Allocator: memory.DefaultAllocator}
	r, err := file.NewParquetReader(io.NewSectionReader(in, 0, in.Size()), file.WithReadProps(parquet.NewReaderProperties(mem)))
	if err != nil {
		return err
	}
	reader, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: readRows}, mem)
	if err != nil {
		return err
	}
	if schema, err := reader.Schema(); err != nil || !sameNames(schema, schemas.RowSchema) {
		return fmt.Errorf("%w: its columns are not those of a record of rows", ErrDamaged)
	}
	sum := sha256.Sum256(id)
	hash := hex.AppendEncode(nil, sum[:])
	for g := range r.NumRowGroups() {
		mem.used = 0
		records, err := reader.GetRecordReader(ctx, nil, []int{g})
		if err != nil {
			return err
		}
		for records.Next() {
			mem.used = 0
			if err := findIn(records.Record(), id, hash, yield); err != nil {
				records.Release()
				return err
			}
		}
		err = records.Err()
		records.Release()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// sameNames reports whether two schemas have fields of the same names and types.
func sameNames(a, b *arrow.Schema) bool {
	if a.NumFields() != b.NumFields() {
		return false
	}
	for i, f := range a.Fields() {
		if f.Name != b.Field(i).Name || f.Type.ID() != b.Field(i).Type.ID() {
			return false
		}
	}
	return true
}

// findIn looks for a person in a record batch.
func findIn(rec arrow.Record, id, hash []byte, yield func(Row) error) error {
	text := func(c int) *array.String { return rec.Column(c).(*array.String) }
	value := func(c, i int) string {
		if text(c).IsNull(i) {
			return ""
		}
		return text(c).Value(i)
	}
	emails, users, persons := text(rowEmail), text(rowUserID), text(rowPerson)
	is := func(s *array.String, i int, want []byte) bool { return s.IsValid(i) && s.Value(i) == string(want) }
	for i := range int(rec.NumRows()) {
		if !is(emails, i, id) && !is(users, i, id) && !is(persons, i, hash) {
			continue
		}
		row := Row{Outcome: schemas.Outcome(value(rowOutcome, i)), Reason: schemas.Reason(value(rowReason, i)), File: value(rowFile, i), Request: value(rowRequest, i)}
		row.Outcome, row.Reason = schemas.Outcome(bytes.Clone([]byte(row.Outcome))), schemas.Reason(bytes.Clone([]byte(row.Reason)))
		if n := rec.Column(rowRow).(*array.Int64); n.IsValid(i) {
			row.Row = n.Value(i)
		}
		if at := rec.Column(rowTime).(*array.Timestamp); at.IsValid(i) {
			row.At = at.Value(i).ToTime(arrow.Millisecond)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}
