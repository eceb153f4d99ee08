package snapshot

import (
	"encoding/binary"
	"fmt"
)

// Place is where a row stands in a segment.
type Place struct {
	File int32
	Row  int64
}

func (p Place) before(o Place) bool { return p.File < o.File || p.File == o.File && p.Row < o.Row }

// Duplicates finds the rows that have a profile in common, in bounded memory: what doesn't fit
// is in temporary files. It must be closed.
type Duplicates struct {
	sorter sorter
	buf    []byte
}

// NewDuplicates returns a Duplicates that holds that many bytes in memory (0 is
// 16 MB) and the rest in temporary files in dir ("" is the system's).
func NewDuplicates(dir string, memory int) *Duplicates {
	return &Duplicates{sorter: newSorter(dir, memory)}
}

const placeSize = 12 // bytes

// Add adds a row. rank is what Each compares it by.
func (d *Duplicates) Add(k Key, at Place, rank []byte) error {
	d.buf = binary.LittleEndian.AppendUint32(d.buf[:0], uint32(at.File))
	d.buf = binary.LittleEndian.AppendUint64(d.buf, uint64(at.Row))
	d.buf = append(d.buf, rank...)
	return d.sorter.add(&Member{Key: k, Email: d.buf}, 0)
}

// Each calls loser with each row whose profile another row has, without the one of each profile
// that counts: the one with the highest rank by compare, and of several the first in the order
// of the source. With a nil compare no row counts. No row can be added afterwards.
func (d *Duplicates) Each(compare func(a, b []byte) int, loser func(Place) error) error {
	rows, err := d.sorter.sorted()
	if err != nil {
		return err
	}
	for rows.more() {
		key := rows.member.Key
		best, rank := place(rows.member.Email)
		rank = append([]byte(nil), rank...) // next invalidates it
		several := false
		for {
			if err := rows.next(); err != nil {
				return fmt.Errorf("compare rows with the same profile: %w", err)
			}
			if !rows.more() || rows.member.Key != key {
				break
			}
			several = true
			lost, other := place(rows.member.Email)
			if compare != nil {
				if c := compare(other, rank); c > 0 || c == 0 && lost.before(best) {
					best, lost, rank = lost, best, append(rank[:0], other...)
				}
			}
			if err := loser(lost); err != nil {
				return err
			}
		}
		if several && compare == nil {
			if err := loser(best); err != nil {
				return err
			}
		}
	}
	return nil
}

func place(b []byte) (Place, []byte) {
	return Place{File: int32(binary.LittleEndian.Uint32(b)), Row: int64(binary.LittleEndian.Uint64(b[4:]))}, b[placeSize:]
}

// Close deletes the temporary files.
func (d *Duplicates) Close() error {
	if err := d.sorter.close(); err != nil {
		return fmt.Errorf("tidy up after comparing rows with the same profile: %w", err)
	}
	return nil
}
