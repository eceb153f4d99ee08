package segment

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/klauspost/compress/zstd"

	"iterable-segment-export/schemas"
)

// The corpus of hostile files is generated here and not stored in testdata: its files have up
// to 50 MB, and the code that makes them explains them. TestDamagedFiles reads slightly damaged
// files. TestHostileFiles in hostile_linux_test.go reads hostile ones with limited memory.

// hostile is a file made to do harm.
type hostile struct {
	name string
	make func(t testing.TB) []byte
	// word is of the error that has to come; empty where the rows can be read.
	word string
}

func (h hostile) columns() Columns {
	return Columns{Email: "email", Fields: schemas.Fields{All: true}}
}

// hostiles are all of them.
func hostiles() []hostile {
	return []hostile{
		{"a gzip bomb in Parquet", func(t testing.TB) []byte { return bombPage(t, compress.Codecs.Gzip, gzipBomb(t)) }, "decompressed bytes"},
		{"a zstd bomb in Parquet", func(t testing.TB) []byte { return bombPage(t, compress.Codecs.Zstd, zstdBomb(t, 2<<30)) }, "decompressed bytes"},
		{"a snappy page of 2 GB", func(t testing.TB) []byte {
			return withPages(t, compress.Codecs.Snappy, 2, dataPage(math.MaxInt32, 3, 2, 0), []byte("abc"))
		}, "pages of about 1 MB"},
		{"a delta page of two milliards of values", func(t testing.TB) []byte {
			return withPages(t, compress.Codecs.Uncompressed, 2, dataPage(12, 12, math.MaxInt32, 6), manyDeltas())
		}, "claims 2 values"},
		{"a delta page of two milliards in a list", func(t testing.TB) []byte {
			email := plainValues("a@example.com")
			return withColumns(t, 1, hostileColumn{chunk: append(dataPage(int64(len(email)), int64(len(email)), 1, 0), email...), values: 1},
				hostileColumn{chunk: append(dataPage(32, 32, math.MaxInt32, 6), append(levelsOfZeros(), manyDeltas()...)...), values: math.MaxInt32, repeated: true})
		}, "pages of all mapped columns"},
		{"texts that repeat in every column", func(t testing.TB) []byte {
			const rows, size = 1_000_000, 200
			page := append(deltas(rows, 0, size), deltas(rows, size, 0)...)
			page = append(page, make([]byte, size)...)
			return everyColumn(t, rows, 0, append(dataPage(int64(len(page)), int64(len(page)), rows, 7), page...))
		}, "pages of all mapped columns"},
		{"dictionaries of empty texts in every column", func(t testing.TB) []byte {
			page := make([]byte, 60<<20)
			enc, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			packed := enc.EncodeAll(page, nil)
			chunk := append(dictPage(int64(len(page)), int64(len(packed)), int64(len(page)/4)), packed...)
			values := enc.EncodeAll([]byte{0, 2}, nil) // of 0 bits, one value
			chunk = append(append(chunk, dataPage(2, int64(len(values)), 1, 8)...), values...)
			return everyColumn(t, 1, 6, chunk)
		}, "pages of all mapped columns"},
		{"large pages in every column", largePages, "512 MB"},
		{"large windows in every column", largeWindows, "beside each other"},
		{"a zstd bomb in every column", func(t testing.TB) []byte { return manyLarge(t, 40, ipc.WithZstd()) }, "512 MB"},
		{"an lz4 bomb in every column", func(t testing.TB) []byte { return manyLarge(t, 40, ipc.WithLZ4()) }, "512 MB"},
		{"dictionaries in every column", manyDictionaries, "512 MB"},
		{"a large text named a million times", namedOften, ""},
		{"10,000 columns in Parquet", func(t testing.TB) []byte {
			return ipcBytes(t, func(t testing.TB, path string) { writeParquet(t, path, 10, []arrow.Record{wide(t)}) })
		}, ""},
		{"10,000 columns in Arrow", func(t testing.TB) []byte { return arrowFileBytes(t, wide(t), ipc.WithZstd()) }, ""},
		{"a column whose name is 50 MB", func(t testing.TB) []byte {
			name, col := str(strings.Repeat("n", 50<<20)), emails(t, "a@example.com").Column(0)
			return streamBytes(t, array.NewRecord(arrow.NewSchema([]arrow.Field{str("email"), name}, nil), []arrow.Array{col, col}, 1))
		}, ""},
		{"lists nested 60 deep in Arrow", func(t testing.TB) []byte { return streamBytes(t, deep(t, 60)) }, ""},
		{"lists nested 5,000 deep in Arrow", deepSchema, "nested"},
		{"lists nested 60 deep in Parquet", func(t testing.TB) []byte {
			return ipcBytes(t, func(t testing.TB, path string) { writeParquet(t, path, 10, []arrow.Record{deep(t, 60)}) })
		}, ""},
		{"texts of 50 MB in Parquet", func(t testing.TB) []byte {
			return ipcBytes(t, func(t testing.TB, path string) { writeParquet(t, path, 10, []arrow.Record{longTexts(t, 5)}) })
		}, ""},
		{"texts of 50 MB in Arrow", func(t testing.TB) []byte { return streamBytes(t, longTexts(t, 5), ipc.WithLZ4()) }, ""},
		{"more texts of 50 MB than there is room for", func(t testing.TB) []byte { return streamBytes(t, longTexts(t, 12), ipc.WithLZ4()) }, "smaller values"},
		{"NUL and invalid UTF-8 in Parquet", func(t testing.TB) []byte {
			return ipcBytes(t, func(t testing.TB, path string) { writeParquet(t, path, 10, []arrow.Record{badTexts(t)}) })
		}, ""},
		{"NUL and invalid UTF-8 in Arrow", func(t testing.TB) []byte { return streamBytes(t, badTexts(t)) }, ""},
		{"a milliard rows of null", func(t testing.TB) []byte { return manyNulls(t, 1e9) }, "claims 1000000000 rows"},
		{"a million rows of null", func(t testing.TB) []byte { return manyNulls(t, 1e6) }, ""},
	}
}

// manyDeltas is DELTA_LENGTH_BYTE_ARRAY of as many lengths as possible, all of 0 bits.
func manyDeltas() []byte {
	b := binary.AppendUvarint([]byte{128, 1, 4}, math.MaxInt32)
	return append(b, make([]byte, 12-len(b))...)
}

// levelsOfZeros are the repetition and the definition levels of as many values, in 6 bytes each.
func levelsOfZeros() []byte {
	run := append([]byte{6, 0, 0, 0}, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0) // 2^31-1 times 0
	return append(bytes.Clone(run), run...)
}

// deltas is DELTA_BINARY_PACKED of one number and then n-1 times another.
func deltas(n int, first, others int64) []byte {
	b := binary.AppendUvarint([]byte{8, 1}, uint64(n))
	b = binary.AppendVarint(b, first)
	for at := 1; at < n; at += 8 {
		step := int64(0)
		if at == 1 {
			step = others - first
		}
		b = binary.AppendVarint(b, min(step, 0))
		b = append(b, 8, byte(max(step, 0)))
		for range 7 {
			b = append(b, byte(-min(step, 0)))
		}
	}
	return b
}

// hostileColumn is a column chunk of a file, and what the footer says of it.
type hostileColumn struct {
	chunk    []byte
	values   int64
	codec    int
	repeated bool
}

// withColumns returns a file of one row group with columns of text: email, c0, c1 and so on. Columns
// with the same chunk share its place.
func withColumns(t testing.TB, rows int64, columns ...hostileColumn) []byte {
	t.Helper()
	var fields []arrow.Field
	var cols []arrow.Array
	for c := range columns {
		fields = append(fields, arrow.Field{Name: []string{"email", fmt.Sprintf("c%d", c-1)}[min(c, 1)], Type: arrow.BinaryTypes.String})
		cols = append(cols, emails(t, "x").Column(0))
	}
	_, meta := footerOf(t, ipcBytes(t, func(t testing.TB, path string) {
		writeParquet(t, path, 10, []arrow.Record{array.NewRecord(arrow.NewSchema(fields, nil), cols, 1)})
	}))
	body, places := []byte("PAR1"), map[*byte]int64{}
	meta.RowGroups[0].NumRows, meta.FileMetaData.NumRows = rows, rows
	for i, c := range columns {
		place, ok := places[&c.chunk[0]]
		if !ok {
			place = int64(len(body))
			places[&c.chunk[0]] = place
			body = append(body, c.chunk...)
		}
		if c.repeated {
			*meta.FileMetaData.Schema[1+i].RepetitionType = 2
		}
		col := meta.RowGroups[0].Columns[i].MetaData
		col.Codec -= col.Codec
		for range c.codec { // its type is not exported
			col.Codec++
		}
		col.Encodings, col.DictionaryPageOffset = col.Encodings[:0], nil
		col.DataPageOffset, col.TotalCompressedSize, col.NumValues = place, int64(len(c.chunk)), c.values
	}
	return withFooter(t, body, meta)
}

// everyColumn is withColumns of 40 columns with the same chunk.
func everyColumn(t testing.TB, rows int64, codec int, chunk []byte) []byte {
	return withColumns(t, rows, slices.Repeat([]hostileColumn{{chunk: chunk, values: rows, codec: codec}}, 40)...)
}

// bombPage returns a file with a Parquet page that claims to be small and is not.
func bombPage(t testing.TB, codec compress.Compression, bomb []byte) []byte {
	return withPages(t, codec, 2, dataPage(34, int64(len(bomb)), 2, 0), bomb)
}

func gzipBomb(t testing.TB) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 256 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zstdBomb is so many zeros, in blocks that are each one byte repeated.
func zstdBomb(t testing.TB, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for ; size > 0; size -= len(zeros) {
		if _, err := w.Write(zeros[:min(size, len(zeros))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// texts is a record of an e-mail column and n others, made by value.
func texts(t testing.TB, rows, n int, value func(row, column int) string) arrow.Record {
	t.Helper()
	fields := []arrow.Field{str("email")}
	for c := range n {
		fields = append(fields, str(fmt.Sprintf("c%d", c)))
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	for row := range rows {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("p%d@example.com", row))
		for c := range n {
			b.Field(c + 1).(*array.StringBuilder).Append(value(row, c))
		}
	}
	return b.NewRecord()
}

func wide(t testing.TB) arrow.Record {
	return texts(t, 3, 10_000, func(row, column int) string { return fmt.Sprint(row * column) })
}

func longTexts(t testing.TB, rows int) arrow.Record {
	long := strings.Repeat("x", 50<<20)
	return texts(t, rows, 1, func(int, int) string { return long })
}

func badTexts(t testing.TB) arrow.Record {
	bad := []string{"\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", "\xc0\xaf", "\xf8\x88\x80\x80\x80", "\u202e", strings.Repeat("\u0301", 10_000)}
	return texts(t, len(bad), 2, func(row, _ int) string { return bad[row] })
}

// deep is a column of lists in lists.
func deep(t testing.TB, levels int) arrow.Record {
	t.Helper()
	dt, json := arrow.DataType(arrow.BinaryTypes.String), `"x"`
	for range levels {
		dt, json = arrow.ListOf(dt), "["+json+"]"
	}
	return table(t, []arrow.Field{str("email"), typed("deep", dt)}, `[{"email":"a@example.com","deep":`+json+`}]`)
}

// deepSchema is a schema alone, deeper than Arrow would write rows.
func deepSchema(t testing.TB) []byte {
	dt := arrow.DataType(arrow.BinaryTypes.String)
	for range 5000 {
		dt = arrow.ListOf(dt)
	}
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(arrow.NewSchema([]arrow.Field{str("email"), typed("deep", dt)}, nil)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manyLarge has one row whose columns are 50 MB each, in a file of some KB.
func manyLarge(t testing.TB, columns int, codec ipc.Option) []byte {
	long := strings.Repeat("\x00", 50<<20)
	var b bytes.Buffer
	rec := texts(t, 1, 1, func(int, int) string { return long })
	cols, fields := []arrow.Array{rec.Column(0)}, []arrow.Field{str("email")}
	for c := range columns { // all the same memory
		cols, fields = append(cols, rec.Column(1)), append(fields, str(fmt.Sprintf("c%d", c)))
	}
	w := ipc.NewWriter(&b, codec, ipc.WithSchema(arrow.NewSchema(fields, nil)))
	if err := w.Write(array.NewRecord(arrow.NewSchema(fields, nil), cols, 1)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manyDictionaries is the same in dictionaries, which are kept from batch to
// batch.
func manyDictionaries(t testing.TB) []byte {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	values := emails(t, strings.Repeat("\x00", 50<<20)).Column(0)
	index := array.NewInt8Builder(memory.DefaultAllocator)
	index.Append(0)
	cols, fields := []arrow.Array{emails(t, "a@example.com").Column(0)}, []arrow.Field{str("email")}
	indices := index.NewArray()
	for c := range 40 {
		cols, fields = append(cols, array.NewDictionaryArray(dt, indices, values)), append(fields, typed(fmt.Sprintf("c%d", c), dt))
	}
	return arrowFileBytes(t, array.NewRecord(arrow.NewSchema(fields, nil), cols, 1), ipc.WithZstd())
}

// namedOften is a text of 50 MB that every one of a million rows has.
func namedOften(t testing.TB) []byte {
	const rows = 1_000_000
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	b := array.NewInt32Builder(memory.DefaultAllocator)
	b.AppendValues(make([]int32, rows), nil)
	arr := array.NewDictionaryArray(dt, b.NewArray(), emails(t, strings.Repeat("x", 50<<20)).Column(0))
	return arrowFileBytes(t, array.NewRecord(arrow.NewSchema([]arrow.Field{typed("email", dt)}, nil), []arrow.Array{arr}, rows), ipc.WithZstd())
}

// manyNulls claims rows that take no bytes.
func manyNulls(t testing.TB, rows int) []byte {
	cols := []arrow.Array{array.NewNull(rows), array.NewNull(rows)}
	fields := []arrow.Field{typed("email", arrow.Null), typed("x", arrow.Null)}
	return streamBytes(t, array.NewRecord(arrow.NewSchema(fields, nil), cols, int64(rows)))
}

// largePages returns a file with a page of 200 MB in each column, correctly declared.
func largePages(t testing.TB) []byte {
	const columns, size = 12, 200 << 20
	value := binary.LittleEndian.AppendUint32(nil, size)
	page := zstdBomb(t, size)
	frame, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	page = append(frame.EncodeAll(value, nil), page...) // two frames are one page
	chunk := append(dataPage(size+4, int64(len(page)), 1, 0), page...)
	return withColumns(t, 1, slices.Repeat([]hostileColumn{{chunk: chunk, values: 1, codec: 6}}, columns)...)
}

// largeWindows returns a file with a small frame in each column that requires a window of
// 128 MB.
func largeWindows(t testing.TB) []byte {
	rec := texts(t, 1, 40, func(int, int) string { return strings.Repeat("x", 3<<20) })
	data := streamBytes(t, rec, ipc.WithZstd())
	magic := []byte{0x28, 0xb5, 0x2f, 0xfd}
	for at := range frames(data, magic) {
		if single := data[at+4]&0x20 != 0; !single {
			data[at+5] = (27 - 10) << 3 // 2^27 bytes (RFC 8878, 3.1.1.1.2)
		}
	}
	return data
}

// frames returns the offsets of frames.
func frames(data, magic []byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at := 0; ; at++ {
			next := bytes.Index(data[at:], magic)
			if next < 0 || !yield(at+next) {
				return
			}
			at += next
		}
	}
}

// boundaries are the places in a good file where one part ends and another
// begins: magics, headers, pages, messages, buffers, footers.
func boundaries(t testing.TB, data []byte) []int {
	t.Helper()
	if bytes.HasPrefix(data, magicParquet) {
		return parquetBoundaries(t, data)
	}
	at, out := 0, []int{0}
	if bytes.HasPrefix(data, magicArrow) {
		at = 8
		footer := int(binary.LittleEndian.Uint32(data[len(data)-10:]))
		out = append(out, 6, len(data)-6, len(data)-10, len(data)-10-footer)
	}
	for at+8 <= len(data) && binary.LittleEndian.Uint32(data[at:]) == math.MaxUint32 {
		n := int(binary.LittleEndian.Uint32(data[at+4:]))
		out = append(out, at, at+4, at+8)
		if n == 0 {
			break
		}
		m := parseMessage(data[at+8 : at+8+n])
		at += 8 + n
		out = append(out, at)
		if m.kind == messageRecord {
			for _, b := range pairs(m.header, 2) {
				out = append(out, at+int(b[0]), at+int(b[0]+b[1]))
			}
		}
		at += int(m.bodyLength)
	}
	return append(out, at)
}

func parquetBoundaries(t testing.TB, data []byte) []int {
	t.Helper()
	body, meta := footerOf(t, data)
	out := []int{0, 4, len(body), len(data) - 8, len(data) - 4}
	for _, g := range meta.RowGroups {
		for _, c := range g.Columns {
			at := c.MetaData.DataPageOffset
			if c.MetaData.DictionaryPageOffset != nil {
				at = *c.MetaData.DictionaryPageOffset
			}
			for end := at + c.MetaData.TotalCompressedSize; at < end; {
				n, page := pageHeader(t, data[at:])
				out = append(out, int(at), int(at)+n, int(at)+n+page)
				at += int64(n + page)
			}
		}
	}
	return out
}

// damage returns damaged copies of a good file. One is cut off at each boundary; about most
// others are cut off beside one, or have a flipped bit or an absurd number there.
func damage(t testing.TB, data []byte, most int) iter.Seq2[string, []byte] {
	type change struct {
		name string
		do   func(bad []byte, at int) []byte
	}
	put := func(bytes ...byte) func([]byte, int) []byte {
		return func(bad []byte, at int) []byte { copy(bad[at:], bytes); return bad }
	}
	cut := change{"cut off", func(bad []byte, at int) []byte { return bad[:at] }}
	changes := []change{
		cut,
		{"a bit turned", func(bad []byte, at int) []byte { bad[at] ^= 1 << (at % 8); return bad }},
		{"the largest number", put(0xff, 0xff, 0xff, 0x7f)},
		{"-1", put(0xff, 0xff, 0xff, 0xff)},
		{"zeros", put(make([]byte, 16)...)},
		{"the largest varint", put(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)},
	}
	places := boundaries(t, data)
	random := rand.New(rand.NewPCG(1, 2))
	return func(yield func(string, []byte) bool) {
		try := func(c change, at int) bool {
			return at < 0 || at >= len(data) || yield(fmt.Sprintf("%s at byte %d of %d", c.name, at, len(data)), c.do(bytes.Clone(data), at))
		}
		for _, at := range places {
			if !try(cut, at) {
				return
			}
		}
		for range most {
			if !try(changes[random.IntN(len(changes))], places[random.IntN(len(places))]-2+random.IntN(9)) {
				return
			}
		}
	}
}
