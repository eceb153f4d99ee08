package record

import (
	"encoding/binary"
	"slices"
)

// marks are some rows of a staged file, by their number in the file: a bit for each row.
type marks struct {
	bits []uint64
	rows int // added so far
}

// add adds the next row of the file.
func (m *marks) add(marked bool) {
	at := m.rows
	m.rows++
	if !marked {
		return
	}
	for len(m.bits) <= at/64 {
		m.bits = append(m.bits, 0)
	}
	m.bits[at/64] |= 1 << (at % 64)
}

// has reports whether a row is marked.
func (m *marks) has(row int) bool {
	return row/64 < len(m.bits) && m.bits[row/64]>>(row%64)&1 != 0
}

func (m *marks) encode() (out []byte) {
	for _, w := range m.bits {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

func decodeMarks(data []byte) (m marks) {
	for w := range slices.Chunk(data, 8) {
		if len(w) == 8 {
			m.bits = append(m.bits, binary.LittleEndian.Uint64(w))
		}
	}
	return m
}
