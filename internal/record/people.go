package record

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"path"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// personAt is the person of a rejected row, by the index of its file.
type personAt struct {
	file          int
	row           int64
	email, userID []byte
}

// compare orders people by their rows in the segment.
func (p *personAt) compare(file int, row int64) int {
	return cmp.Or(cmp.Compare(p.file, file), cmp.Compare(p.row, row))
}

// rejectedPeople returns the people of rejected rows that name one besides the value at fault, in
// the order of the rejects file. They are valid until the next one. failed is its error.
func (r *recorder) rejectedPeople(ctx context.Context, dir string, failed *error) iter.Seq[personAt] {
	return func(yield func(personAt) bool) {
		more := true
		*failed = r.each(ctx, path.Join(dir, restFile), func(_ int, b *batch.Batch) error {
			for i := 0; more && i < b.Len(); i++ {
				if at := int(b.File(i)); schemas.Outcome(b.DataFields(i)) == schemas.OutcomeRejected && at < len(r.files) {
					more = yield(personAt{file: at, row: b.Row(i), email: b.Email(i), userID: b.UserID(i)})
				}
			}
			return nil
		})
	}
}

// leftOutFile has the leftOut, beside the staged files.
const leftOutFile = "leftout.json"

// leftOut are the rows without the value of a mapped field, since it can't be sent, for each
// column that there is one of.
type leftOut []leftOutOf

type leftOutOf struct {
	Column string                      `json:"column"`
	rows   map[int32]*roaring64.Bitmap // by file
	// Rows are the rows of each file, as a roaring bitmap of 64 bits.
	Rows map[int32][]byte `json:"rows"`
}

// add adds a row without the values of some columns.
func (l *leftOut) add(columns []string, file int32, row int64) {
	for _, name := range columns {
		i := 0
		for i < len(*l) && (*l)[i].Column != name {
			i++
		}
		if i == len(*l) {
			*l = append(*l, leftOutOf{Column: name, rows: map[int32]*roaring64.Bitmap{}})
		}
		if (*l)[i].rows[file] == nil {
			(*l)[i].rows[file] = roaring64.New()
		}
		(*l)[i].rows[file].Add(uint64(row))
	}
}

// of returns the columns whose values a row lacks, with ", " between them.
func (l leftOut) of(file int32, row int64) string {
	var columns []string
	for _, c := range l {
		if rows := c.rows[file]; rows != nil && rows.Contains(uint64(row)) {
			columns = append(columns, c.Column)
		}
	}
	return strings.Join(columns, ", ")
}

func (l leftOut) write(ctx context.Context, root *storage.Root, key string) error {
	for i := range l {
		l[i].Rows = map[int32][]byte{}
		for file, rows := range l[i].rows {
			data, err := rows.ToBytes()
			if err != nil {
				return fmt.Errorf("encode which values were left out: %w", err)
			}
			l[i].Rows[file] = data
		}
	}
	return root.WriteJSON(ctx, key, l)
}

func readLeftOut(ctx context.Context, root *storage.Root, key string) (l leftOut, err error) {
	data, err := root.Read(ctx, key)
	if err != nil {
		return nil, ledger.StagingError(leftOutFile, err)
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", leftOutFile, ledger.ErrDamaged)
	}
	for i := range l {
		l[i].rows = map[int32]*roaring64.Bitmap{}
		for file, data := range l[i].Rows {
			rows := roaring64.New()
			if err := rows.UnmarshalBinary(data); err != nil {
				return nil, fmt.Errorf("%s: %w", leftOutFile, ledger.ErrDamaged)
			}
			l[i].rows[file] = rows
		}
	}
	return l, nil
}
