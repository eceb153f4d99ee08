package snapshot

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/columnar"
)

// columns are a record batch, checked.
type columns struct {
	keys   []byte
	fields []uint64
	// Nulls are empty texts.
	email, userID columnar.Texts[int32]
}

func columnsOf(rec arrow.Record, rows int) (c columns, err error) {
	if rec.NumRows() != int64(rows) {
		return c, fmt.Errorf("%d rows instead of %d", rec.NumRows(), rows)
	}
	if rec.Column(0).NullN() != 0 || rec.Column(1).NullN() != 0 {
		return c, errors.New("a member has no key")
	}
	keys := rec.Column(0).Data().Buffers()[1]
	if keys == nil || keys.Len() < rows*16 {
		return c, errors.New("there are too few keys")
	}
	c.keys = keys.Bytes()[:rows*16]
	c.fields = rec.Column(1).(*array.Uint64).Uint64Values()
	if len(c.fields) != rows {
		return c, errors.New("there are too few hashes")
	}
	if c.email, err = columnar.TextsOf[int32](rec.Column(2).Data()); err != nil {
		return c, err
	}
	c.userID, err = columnar.TextsOf[int32](rec.Column(3).Data())
	return c, err
}
