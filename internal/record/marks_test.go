package record

import "testing"

// TestMarksTakeABitPerRow: also where each batch has one row.
func TestMarksTakeABitPerRow(t *testing.T) {
	const rows = 10_000
	marked := func(i int) bool { return i%3 == 0 || i == rows-1 }
	var m marks
	for i := range rows {
		m.add(marked(i))
	}
	data := m.encode()
	if len(data) > rows/8+8 {
		t.Errorf("%d bytes for %d rows", len(data), rows)
	}
	read := decodeMarks(data)
	for i := range rows {
		if read.has(i) != marked(i) {
			t.Fatalf("row %d: %t", i, read.has(i))
		}
	}
	if read.has(rows + 1000) {
		t.Error("a row beyond the end is marked")
	}
}
