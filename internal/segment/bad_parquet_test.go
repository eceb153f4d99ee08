package segment

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"

	"iterable-segment-export/schemas"
)

// emails is a record with one column, "email".
func emails(t testing.TB, values ...string) arrow.Record {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "email", Type: arrow.BinaryTypes.String}}, nil))
	for _, v := range values {
		b.Field(0).(*array.StringBuilder).Append(v)
	}
	return b.NewRecord()
}

// parquetBytes is a file of one required text column without a dictionary.
func parquetBytes(t testing.TB, codec compress.Compression, values ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	writeParquet(t, path, 1<<20, []arrow.Record{emails(t, values...)}, parquet.WithCompression(codec), parquet.WithDictionaryDefault(false), parquet.WithStats(false))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func footerOf(t testing.TB, data []byte) (body []byte, meta *metadata.FileMetaData) {
	t.Helper()
	n := int(binary.LittleEndian.Uint32(data[len(data)-8:]))
	meta, err := metadata.NewFileMetaData(data[len(data)-8-n:len(data)-8], nil)
	if err != nil {
		t.Fatal(err)
	}
	return data[: len(data)-8-n : len(data)-8-n], meta
}

func withFooter(t testing.TB, body []byte, meta *metadata.FileMetaData) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := meta.WriteTo(&b, nil); err != nil {
		t.Fatal(err)
	}
	return withRawFooter(body, b.Bytes())
}

func withRawFooter(body, footer []byte) []byte {
	out := append(append([]byte{}, body...), footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	return append(out, "PAR1"...)
}

// compact writes Thrift's compact protocol.
type compact struct{ b []byte }

func (c *compact) field(delta, kind byte) *compact { c.b = append(c.b, delta<<4|kind); return c }
func (c *compact) varint(v int64) *compact {
	c.b = binary.AppendUvarint(c.b, uint64(v<<1^v>>63))
	return c
}
func (c *compact) i32(delta byte, v int64) *compact { return c.field(delta, thriftI32).varint(v) }
func (c *compact) stop() *compact                   { c.b = append(c.b, 0); return c }

// dataPage is the header of a data page with PLAIN values, or another encoding.
func dataPage(uncompressed, compressed, values, encoding int64) []byte {
	c := new(compact).i32(1, pageData).i32(1, uncompressed).i32(1, compressed)
	c.field(2, thriftStruct).i32(1, values).i32(1, encoding).i32(1, 3).i32(1, 3).stop()
	return c.stop().b
}

func dictPage(uncompressed, compressed, values int64) []byte {
	c := new(compact).i32(1, pageDictionary).i32(1, uncompressed).i32(1, compressed)
	c.field(4, thriftStruct).i32(1, values).i32(1, 0).stop()
	return c.stop().b
}

// withPages returns a file whose only column consists of the given bytes.
func withPages(t testing.TB, codec compress.Compression, values int64, pages ...[]byte) []byte {
	t.Helper()
	_, meta := footerOf(t, parquetBytes(t, codec, "a@example.com"))
	body := append([]byte("PAR1"), bytes.Join(pages, nil)...)
	col := meta.RowGroups[0].Columns[0].MetaData
	col.DataPageOffset, col.TotalCompressedSize, col.NumValues = 4, int64(len(body)-4), values
	col.Encodings = col.Encodings[:0]
	meta.RowGroups[0].NumRows, meta.FileMetaData.NumRows = values, values
	return withFooter(t, body, meta)
}

func plainValues(values ...string) []byte {
	var b []byte
	for _, v := range values {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

func TestWithPagesMakesReadableFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	v := plainValues("a@example.com", "b@example.com")
	writeBytes(t, path, withPages(t, compress.Codecs.Uncompressed, 2, dataPage(int64(len(v)), int64(len(v)), 2, 0), v))
	if got := rows(t, inspect(t, path, Columns{Email: "email"}), Options{}); strings.Join(got, "") != "email=a@example.com email=b@example.com " {
		t.Errorf("%q", got)
	}
}

// fails inspects and reads the file. It fails the test unless there is an error of that type
// whose text has the file's name and all the words.
func fails(t *testing.T, data []byte, kind schemas.ErrorType, words ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bad.file")
	writeBytes(t, path, data)
	err := readAll(t, path, Columns{Email: "email"})
	wantError(t, err, kind, append(words, "bad.file")...)
}

func wantError(t *testing.T, err error, kind schemas.ErrorType, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("%T is no *Error: %v", err, err)
	}
	if e.Type != kind {
		t.Errorf("the type is %q, not %q: %v", e.Type, kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func readAll(t testing.TB, source string, want Columns) error {
	s, err := Inspect(t.Context(), source, want)
	if err != nil {
		return err
	}
	return readErr(s.Read(t.Context(), Options{}))
}

func readErr(batches iter.Seq2[Batch, error]) (err error) {
	for _, err = range batches {
	}
	return err
}

func TestBadFooters(t *testing.T) {
	const unreadable = schemas.ErrorSegmentUnreadable
	good := func() ([]byte, *metadata.FileMetaData) {
		return footerOf(t, parquetBytes(t, compress.Codecs.Snappy, "a@example.com", "b@example.com"))
	}
	for name, c := range map[string]struct {
		change func(m *metadata.FileMetaData)
		words  []string
	}{
		"rows that are not there":    {func(m *metadata.FileMetaData) { m.FileMetaData.NumRows = 1 << 60 }, []string{"footer claims"}},
		"negative rows":              {func(m *metadata.FileMetaData) { m.FileMetaData.NumRows, m.RowGroups[0].NumRows = -5, -5 }, []string{"row group 0"}},
		"absurd rows":                {func(m *metadata.FileMetaData) { m.FileMetaData.NumRows, m.RowGroups[0].NumRows = 1<<60, 1<<60 }, []string{"rows in"}},
		"rows that no group counts":  {func(m *metadata.FileMetaData) { m.FileMetaData.NumRows, m.RowGroups[0].NumRows = 0, 0 }, []string{"row group 0 claims 0 rows and has values"}},
		"fewer rows than values":     {func(m *metadata.FileMetaData) { m.FileMetaData.NumRows, m.RowGroups[0].NumRows = 1, 1 }, []string{"email", "claims 2 values"}},
		"more values than pages":     {func(m *metadata.FileMetaData) { rowsAndValues(m, 3) }, []string{"email", "claims 3 values, its pages have 2"}},
		"offset outside":             {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = 1 << 50 }, []string{"email", "outside"}},
		"negative offset":            {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = -9 }, []string{"email", "outside"}},
		"size outside":               {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = math.MaxInt64 }, []string{"email", "outside"}},
		"negative size":              {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = -1 }, []string{"email", "outside"}},
		"a column too few":           {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[:0] }, []string{"row group 0"}},
		"a column elsewhere":         {func(m *metadata.FileMetaData) { p := "other"; m.RowGroups[0].Columns[0].FilePath = &p }, []string{"email", "another file"}},
		"a column without a place":   {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData = nil }, []string{"email", "location of the column"}},
		"LZ4":                        {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = 5 }, []string{"email", "can't be decompressed with LZ4"}},
		"LZ4_RAW":                    {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = 7 }, []string{"email", "can't be decompressed with LZ4_RAW"}},
		"LZO":                        {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = 3 }, []string{"email", "LZO", "snappy or zstd"}},
		"a codec of the future":      {func(m *metadata.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = 77 }, []string{"email"}},
		"a tree of columns cut off":  {func(m *metadata.FileMetaData) { n := int32(5); m.FileMetaData.Schema[0].NumChildren = &n }, []string{"damaged"}},
		"a negative count of fields": {func(m *metadata.FileMetaData) { n := int32(-5); m.FileMetaData.Schema[0].NumChildren = &n }, []string{"damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			body, meta := good()
			c.change(meta)
			fails(t, withFooter(t, body, meta), unreadable, c.words...)
		})
	}
}

func rowsAndValues(m *metadata.FileMetaData, n int64) {
	m.FileMetaData.NumRows, m.RowGroups[0].NumRows, m.RowGroups[0].Columns[0].MetaData.NumValues = n, n, n
}

func TestHostileFooters(t *testing.T) {
	deep := new(compact).i32(1, 1).field(1, thriftList)
	deep.b = binary.AppendUvarint(append(deep.b, 0xf0|thriftStruct), 100_000)
	for range 99_999 {
		deep.field(4, thriftBinary)
		deep.b = append(deep.b, 1, 'x')
		deep.i32(1, 1).stop()
	}
	deep.field(4, thriftBinary)
	deep.b = append(deep.b, 1, 'x', 0)
	deep.i32(1, 0).field(1, thriftList)
	deep.b = append(deep.b, thriftStruct, 0)

	list := new(compact).i32(1, 1).field(1, thriftList)
	list.b = binary.AppendUvarint(append(list.b, 0xf0|thriftStruct), math.MaxInt32)

	text := new(compact).field(6, thriftBinary)
	text.b = binary.AppendUvarint(text.b, 1<<40)

	nested := new(compact)
	for range 1_000_000 {
		nested.field(1, thriftStruct)
	}
	for name, c := range map[string]struct{ footer, word string }{
		"columns nested deep":        {string(deep.b), "nested"},
		"a list of two milliards":    {string(list.b), "damaged"},
		"a text of a terabyte":       {string(text.b), "damaged"},
		"structs in structs":         {string(nested.b), "damaged"},
		"a list of lists":            {strings.Repeat("\x19", 1<<20), "damaged"},
		"a varint that does not end": {strings.Repeat("\xff", 100), "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			fails(t, withRawFooter([]byte("PAR1"), []byte(c.footer)), schemas.ErrorSegmentUnreadable, c.word)
		})
	}
}

func TestBadPages(t *testing.T) {
	const unreadable = schemas.ErrorSegmentUnreadable
	v := plainValues("a@example.com", "b@example.com")
	n := int64(len(v))
	none, snap, zst := compress.Codecs.Uncompressed, compress.Codecs.Snappy, compress.Codecs.Zstd
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := enc.EncodeAll(make([]byte, 2<<30), nil)
	t.Logf("the bomb has %d bytes", len(bomb))
	liar := binary.AppendUvarint(nil, 1<<31)
	liar = append(liar, snappy.Encode(nil, v)...)
	for name, c := range map[string]struct {
		data  []byte
		words []string
	}{
		"a page larger than its column": {withPages(t, none, 2, dataPage(n, n+100, 2, 0), v), []string{"longer than the rest"}},
		"a negative size":               {withPages(t, none, 2, dataPage(-n, n, 2, 0), v), []string{"negative"}},
		"negative values":               {withPages(t, none, 2, dataPage(n, n, -2, 0), v), []string{"negative"}},
		"two sizes":                     {withPages(t, none, 2, dataPage(n+1, n, 2, 0), v), []string{"two sizes"}},
		"a page of two gigabytes":       {withPages(t, snap, 2, dataPage(math.MaxInt32, n, 2, 0), v), []string{"pages of about 1 MB"}},
		"snappy that lies":              {withPages(t, snap, 2, dataPage(n, int64(len(liar)), 2, 0), liar), []string{"decompressed bytes"}},
		"a zstd bomb":                   {withPages(t, zst, 2, dataPage(n, int64(len(bomb)), 2, 0), bomb), []string{"decompressed bytes"}},
		"zstd that is none":             {withPages(t, zst, 2, dataPage(n, n, 2, 0), v), []string{"zstd"}},
		"a dictionary of milliards":     {withPages(t, none, 2, dictPage(n, n, math.MaxInt32), v, dataPage(n, n, 2, 0), v), []string{"dictionary"}},
		"BYTE_STREAM_SPLIT":             {withPages(t, none, 2, dataPage(n, n, 2, 9), v), []string{"BYTE_STREAM_SPLIT", "not a multiple"}},
		"fewer values than claimed":     {withPages(t, none, 3, dataPage(n, n, 2, 0), v), []string{"claims", "3 values"}},
		"a header without an end":       {withPages(t, none, 2, bytes.Repeat([]byte{0x15}, 600)), []string{"header"}},
		"values that are not there":     {withPages(t, none, 9, dataPage(n, n, 9, 0), v), []string{"row group 0"}},
		"a value that leads out":        {withPages(t, none, 1, dataPage(8, 8, 1, 0), []byte("\xff\xff\xff\x7fabcd")), []string{"row group 0"}},
		"indices for milliards":         {withPages(t, none, 2, dictPage(n, n, 2), v, dataPage(6, 6, 2, 8), []byte{31, 4, 255, 255, 255, 127}), []string{"indices of 31 bits", "2 values"}},
		"a dictionary index too high":   {withPages(t, none, 2, dictPage(n, n, 2), v, dataPage(3, 3, 2, 8), []byte{8, 4, 200}), []string{"row group 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "fewer values") {
				c.words = []string{"claims 3 values, its pages have 2"}
			}
			fails(t, c.data, unreadable, append(c.words, "email")...)
		})
	}
}

// TestRowGroupWithoutRows reads a file with an empty row group without a location.
func TestRowGroupWithoutRows(t *testing.T) {
	body, meta := footerOf(t, parquetBytes(t, compress.Codecs.Snappy, "a@example.com"))
	empty := *meta.RowGroups[0]
	column := *empty.Columns[0]
	place := *column.MetaData
	place.DataPageOffset, place.TotalCompressedSize, place.NumValues, place.Encodings = 0, 0, 0, place.Encodings[:0]
	column.MetaData, empty.NumRows = &place, 0
	empty.Columns = append(empty.Columns[:0:0], &column)
	meta.RowGroups = append(meta.RowGroups, &empty)
	path := filepath.Join(t.TempDir(), "x")
	writeBytes(t, path, withFooter(t, body, meta))
	if got := rows(t, inspect(t, path, Columns{Email: "email"}), Options{}); strings.Join(got, "") != "email=a@example.com " {
		t.Errorf("%q", got)
	}
}

// TestFooterWithoutCount reads a file whose footer claims 0 rows, as some writers leave it.
func TestFooterWithoutCount(t *testing.T) {
	body, meta := footerOf(t, parquetBytes(t, compress.Codecs.Snappy, "a@example.com", "b@example.com"))
	meta.FileMetaData.NumRows = 0
	path := filepath.Join(t.TempDir(), "x")
	writeBytes(t, path, withFooter(t, body, meta))
	s := inspect(t, path, Columns{Email: "email"})
	if got := rows(t, s, Options{}); s.Info().Rows != 2 || strings.Join(got, "") != "email=a@example.com email=b@example.com " {
		t.Errorf("%d rows, %q", s.Info().Rows, got)
	}
}

// writeLogical writes a file of v and email. The logical type of v is the one with this entry in the
// union of logical types, in Thrift's compact form.
func writeLogical(t *testing.T, path string, union []byte, rows string) {
	t.Helper()
	writeParquet(t, path, 10, []arrow.Record{table(t, []arrow.Field{str("v"), str("email")}, rows)})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body, meta := footerOf(t, data)
	meta.FileMetaData.Schema[1].ConvertedType = nil
	var footer bytes.Buffer
	if _, err := meta.WriteTo(&footer, nil); err != nil {
		t.Fatal(err)
	}
	text := []byte{0x1c, 0, 0} // STRING; the schema has the first ones of a footer
	writeBytes(t, path, withRawFooter(body, bytes.Replace(footer.Bytes(), text, union, 1)))
}

// TestLogicalTypesOfLaterFormats reads files whose first column has a logical type that Arrow v15 does
// not know. A mapped one is read as its physical type (rows shows bytes in base64), and one that is
// not mapped is no obstacle.
func TestLogicalTypesOfLaterFormats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	for name, union := range map[string][]byte{
		"VARIANT": {0x0c, 16 << 1, 0, 0}, "GEOMETRY": {0x0c, 17 << 1, 0, 0}, "GEOGRAPHY with its settings": {0x0c, 18 << 1, 0x18, 1, 'x', 0, 0},
		"number 99": {0x0c, 0xc6, 1, 0, 0},
	} {
		writeLogical(t, path, union, `[{"v": "Oslo", "email": "a@example.com"}]`)
		for want, columns := range map[string]Columns{
			"email=a@example.com ":            {Email: "email"},
			"email=a@example.com v=T3Nsbw== ": {Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "v", Type: "string"}}}},
		} {
			if got := strings.Join(rows(t, inspect(t, path, columns), Options{}), "|"); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}
}

// TestUnknownColumnWithValues: the logical type UNKNOWN is that of a column of nulls.
func TestUnknownColumnWithValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	for json, word := range map[string]string{`[{"v": null, "email": "a@example.com"}]`: "", `[{"v": null, "email": "a@example.com"}, {"v": "x", "email": "b@example.com"}]`: "UNKNOWN"} {
		writeLogical(t, path, []byte{0xbc, 0, 0}, json)
		err := readAll(t, path, Columns{Email: "email", Fields: schemas.Fields{All: true}})
		if word == "" && err != nil {
			t.Error(err)
		} else if word != "" {
			wantError(t, err, schemas.ErrorSegmentUnreadable, word, `"v"`)
		}
	}
}

// TestMapOfUnsupportedValues names what is not supported.
func TestMapOfUnsupportedValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	dt := arrow.MapOf(arrow.BinaryTypes.String, &arrow.Decimal128Type{Precision: 38, Scale: 2})
	writeParquet(t, path, 10, []arrow.Record{table(t, []arrow.Field{str("email"), typed("m", dt)}, `[{"email": "a@example.com", "m": [{"key": "k", "value": "1.25"}]}]`)})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body, meta := footerOf(t, data)
	digits := int32(99)
	value := meta.FileMetaData.Schema[len(meta.FileMetaData.Schema)-1]
	value.Precision, value.LogicalType = &digits, nil
	writeBytes(t, path, withFooter(t, body, meta))
	if err := readAll(t, path, Columns{Email: "email"}); err != nil {
		t.Error(err)
	}
	_, err = Inspect(t.Context(), path, Columns{Email: "email", Fields: schemas.Fields{All: true}})
	wantError(t, err, schemas.ErrorColumn, `"m"`, "99 digits")
}

// TestPageOfNulls reads a page of version 2 that has only levels: some writers store the values
// of a page of nulls as no bytes, whatever the codec is.
func TestPageOfNulls(t *testing.T) {
	levels := []byte{2 << 1, 0} // two values of level 0
	header := new(compact).i32(1, 3).i32(1, int64(len(levels))).i32(1, int64(len(levels)))
	header.field(5, thriftStruct).i32(1, 2).i32(1, 2).i32(1, 2).i32(1, 0).i32(1, int64(len(levels))).i32(1, 0).stop().stop()
	for _, codec := range []compress.Compression{compress.Codecs.Uncompressed, compress.Codecs.Snappy, compress.Codecs.Gzip, compress.Codecs.Zstd, compress.Codecs.Brotli} {
		body, meta := footerOf(t, withPages(t, codec, 2, header.b, levels))
		*meta.FileMetaData.Schema[1].RepetitionType = 1 // optional
		path := filepath.Join(t.TempDir(), "x")
		writeBytes(t, path, withFooter(t, body, meta))
		if got := rows(t, inspect(t, path, Columns{Email: "email"}), Options{}); strings.Join(got, "") != "email=null email=null " {
			t.Errorf("%s: %q", codec, got)
		}
	}
}
