package segment

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// deltaTable is a Delta table that a test writes: its log by hand, its files with
// Arrow.
type deltaTable struct {
	t       testing.TB
	dir     string
	version int
}

type obj = map[string]any

func newDelta(t testing.TB) *deltaTable { return &deltaTable{t: t, dir: t.TempDir()} }

// write writes a data file and returns the action that adds it.
func (d *deltaTable) write(name string, partition obj, rec arrow.Record) obj {
	d.t.Helper()
	path := filepath.Join(d.dir, filepath.FromSlash(name))
	writeParquet(d.t, path, 1000, []arrow.Record{rec})
	info, err := os.Stat(path)
	if err != nil {
		d.t.Fatal(err)
	}
	if partition == nil {
		partition = obj{}
	}
	return obj{"path": strings.ReplaceAll(name, "%", "%25"), "partitionValues": partition, "size": info.Size(), "modificationTime": 1, "dataChange": true}
}

// commit writes the next version.
func (d *deltaTable) commit(actions ...obj) {
	d.t.Helper()
	var b strings.Builder
	for _, a := range actions {
		line, err := json.Marshal(a)
		if err != nil {
			d.t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	d.log(fmt.Sprintf("%020d.json", d.version), b.String())
	d.version++
}

func (d *deltaTable) log(name, content string) {
	d.t.Helper()
	writeBytes(d.t, filepath.Join(d.dir, "_delta_log", name), []byte(content))
}

// createTable is the first commit's actions of a table with these columns.
func createTable(columns string, partitions []string, configuration obj, features ...string) []obj {
	protocol := obj{"minReaderVersion": 1, "minWriterVersion": 2}
	if len(features) > 0 {
		protocol = obj{"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
	}
	if configuration == nil {
		configuration = obj{}
	}
	return []obj{{"protocol": protocol}, {"metaData": obj{
		"id": "t", "format": obj{"provider": "parquet", "options": obj{}}, "schemaString": `{"type":"struct","fields":[` + columns + `]}`,
		"partitionColumns": partitions, "configuration": configuration,
	}}}
}

const emailColumn = `{"name":"email","type":"string","nullable":true,"metadata":{}}`

func allOf(t *testing.T, source string) string {
	t.Helper()
	return strings.Join(rows(t, inspect(t, source, Columns{Email: "email", Fields: schemas.Fields{All: true}}), Options{BatchRows: 3}), "|")
}

func TestDeltaVersions(t *testing.T) {
	d := newDelta(t)
	a, b, c := d.write("a.parquet", nil, emails(t, "a@x.com")), d.write("b.parquet", nil, emails(t, "b@x.com")), d.write("c.parquet", nil, emails(t, "c@x.com"))
	d.commit(append(createTable(emailColumn, nil, nil), obj{"add": a}, obj{"add": b})...)
	d.commit(obj{"remove": obj{"path": "a.parquet", "dataChange": true}}, obj{"add": c}, obj{"commitInfo": obj{}}, obj{"txn": obj{"appId": "x"}})
	want := Columns{Email: "email"}
	pinned := inspect(t, d.dir, want)
	if got := strings.Join(rows(t, pinned, Options{}), "|"); got != "email=b@x.com |email=c@x.com " || pinned.Info().Rows != 2 || *pinned.Info().Table != (schemas.TableVersion{Format: "Delta", Version: 1}) {
		t.Errorf("%s, %+v", got, pinned.Info())
	}
	// A later version does not change what a run reads that has begun.
	d.commit(obj{"remove": obj{"path": "b.parquet"}})
	if got := allOf(t, d.dir); got != "email=c@x.com " {
		t.Errorf("the latest version has %s", got)
	}
	anyFile := func(o storage.Object) (storage.Object, error) { return o, nil }
	l, err := Locate(t.Context(), d.dir, Search{Version: 1}, anyFile)
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Inspect(t.Context(), want)
	if err != nil || again.CheckFingerprint(pinned.Info().Fingerprint) != nil {
		t.Errorf("version 1 is %v another, %v", again.CheckFingerprint(pinned.Info().Fingerprint), err)
	}
	if _, err := Locate(t.Context(), d.dir, Search{Version: 7}, anyFile); err == nil || !strings.Contains(err.Error(), "version 7") {
		t.Errorf("a version that is not there: %v", err)
	}
	// Everything is deleted, and the columns are still known.
	d.commit(obj{"remove": obj{"path": "c.parquet"}})
	if s := inspect(t, d.dir, want); s.Info().Rows != 0 || len(rows(t, s, Options{})) != 0 || s.Columns[0].Name != "email" {
		t.Errorf("an empty table is %+v", s.Info())
	}
	_, err = Inspect(t.Context(), d.dir, Columns{Email: "mail"})
	wantError(t, err, schemas.ErrorColumn, `"mail"`, `"email"`)
}

// TestDeltaRemovesInOtherLetters: writers encode other characters of one file's path.
func TestDeltaRemovesInOtherLetters(t *testing.T) {
	for name, c := range map[string]struct{ file, add, remove, word string }{
		"Spark, then delta-rs":     {"city=New York/a.parquet", "city=New%20York/a.parquet", "city=New York/a.parquet", ""},
		"delta-rs, then Spark":     {"city=New York/a.parquet", "city=New York/a.parquet", "city=New%20York/a.parquet", ""},
		"other case of the digits": {"x=a+b/a.parquet", "x=a%2Bb/a.parquet", "x=a%2bb/a.parquet", ""},
		"not encoded":              {"x=100%/a.parquet", "x=100%/a.parquet", "x=100%25/a.parquet", ""},
		"absolute":                 {"a.parquet", "a.parquet", "file:///lake/t/a.parquet", "outside of the table's folder"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDelta(t)
			gone, kept := d.write(c.file, nil, emails(t, "gone@x.com")), d.write("b.parquet", nil, emails(t, "kept@x.com"))
			gone["path"] = c.add
			d.commit(append(createTable(emailColumn, nil, nil), obj{"add": gone}, obj{"add": kept})...)
			if got := allOf(t, d.dir); !strings.Contains(got, "gone@x.com") {
				t.Errorf("before the removal: %s", got)
			}
			d.commit(obj{"remove": obj{"path": c.remove, "dataChange": true}})
			if c.word != "" {
				_, err := Inspect(t.Context(), d.dir, Columns{Email: "email"})
				wantError(t, err, schemas.ErrorSegmentUnreadable, c.word)
				return
			}
			if got := allOf(t, d.dir); got != "email=kept@x.com " {
				t.Errorf("after the removal: %s", got)
			}
		})
	}
}

func TestDeltaCheckpoints(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"classic":                     {[]string{"00000000000000000001.checkpoint.parquet"}, "email=b@x.com |email=c@x.com "},
		"in parts":                    {[]string{"00000000000000000001.checkpoint.0000000001.0000000002.parquet", "00000000000000000001.checkpoint.0000000002.0000000002.parquet"}, "email=b@x.com |email=c@x.com "},
		"version 2":                   {[]string{"00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet"}, "email=b@x.com |email=c@x.com "},
		"version 2, in JSON":          {[]string{"00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"}, "email=b@x.com |email=c@x.com "},
		"a part is missing, and log":  {[]string{"00000000000000000001.checkpoint.0000000001.0000000002.parquet"}, ""},
		"no checkpoint, and half log": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDelta(t)
			a, b, c2 := d.write("a.parquet", nil, emails(t, "a@x.com")), d.write("b.parquet", nil, emails(t, "b@x.com")), d.write("c.parquet", nil, emails(t, "c@x.com"))
			d.version = 1
			d.commit()
			d.commit(obj{"remove": obj{"path": "a.parquet"}}, obj{"add": c2})
			meta := createTable(emailColumn, nil, nil, "v2Checkpoint")
			actions := append(meta, obj{"add": a}, obj{"add": b})
			for i, file := range c.files {
				part := actions
				if len(c.files) > 1 {
					part = [][]obj{actions[:3], actions[3:]}[i]
				}
				d.checkpoint(file, part)
			}
			if c.want == "" {
				_, err := Inspect(t.Context(), d.dir, Columns{Email: "email"})
				wantError(t, err, schemas.ErrorSegmentUnreadable, "lacks version 0")
				return
			}
			if got := allOf(t, d.dir); got != c.want {
				t.Errorf("%s", got)
			}
		})
	}
}

// checkpoint writes actions as a checkpoint: in JSON, or in Parquet.
func (d *deltaTable) checkpoint(name string, actions []obj) {
	d.t.Helper()
	var lines []string
	for _, a := range actions {
		if add, ok := a["add"].(obj); ok {
			delete(add, "dataChange")
		}
		line, err := json.Marshal(a)
		if err != nil {
			d.t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	if strings.HasSuffix(name, ".json") {
		d.log(name, strings.Join(lines, "\n"))
		return
	}
	text := arrow.BinaryTypes.String
	rec := table(d.t, []arrow.Field{
		typed("add", arrow.StructOf(str("path"), typed("size", arrow.PrimitiveTypes.Int64))),
		typed("metaData", arrow.StructOf(str("schemaString"), typed("partitionColumns", arrow.ListOf(text)), typed("format", arrow.StructOf(str("provider"))))),
		typed("protocol", arrow.StructOf(typed("minReaderVersion", arrow.PrimitiveTypes.Int32), typed("readerFeatures", arrow.ListOf(text)))),
	}, "["+strings.Join(lines, ",")+"]")
	writeParquet(d.t, filepath.Join(d.dir, "_delta_log", name), 100, []arrow.Record{rec})
}

func TestDeltaPartitions(t *testing.T) {
	d := newDelta(t)
	columns := emailColumn
	for _, c := range [][2]string{{"s", "string"}, {"n", "long"}, {"day", "date"}, {"at", "timestamp"}, {"money", "decimal(10,2)"}, {"ok", "boolean"}} {
		columns += fmt.Sprintf(`,{"name":%q,"type":%q,"nullable":true,"metadata":{}}`, c[0], c[1])
	}
	a := d.write("s=A%2FA/a.parquet", obj{"s": "A/A", "n": "007", "day": "2026-11-25", "at": "2026-11-25 08:15:30.5", "money": "12.50", "ok": "true"}, emails(t, "a@x.com"))
	b := d.write("b.parquet", obj{"s": nil, "n": "", "day": nil, "at": "2026-11-25T08:15:30.000000Z", "money": nil, "ok": nil}, emails(t, "b@x.com"))
	d.commit(append(createTable(columns, []string{"s", "n", "day", "at", "money", "ok"}, nil), obj{"add": a}, obj{"add": b})...)
	want := "email=b@x.com s=(null) n=(null) day=(null) at=2026-11-25 08:15:30Z money=(null) ok=(null) " +
		"|email=a@x.com s=A/A n=7 day=2026-11-25 at=2026-11-25 08:15:30.5Z money=12.5 ok=true "
	if got := allOf(t, d.dir); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestDeltaPartitionsLeftOut: old versions of delta-rs, and kafka-delta-ingest, leave null out of
// the log.
func TestDeltaPartitionsLeftOut(t *testing.T) {
	d := newDelta(t)
	columns := emailColumn + `,{"name":"p","type":"string","nullable":true,"metadata":{}},{"name":"q","type":"long","nullable":true,"metadata":{}}`
	a, b := d.write("a.parquet", obj{"p": "x"}, emails(t, "a@x.com")), d.write("b.parquet", obj{}, emails(t, "b@x.com"))
	d.commit(append(createTable(columns, []string{"p", "q"}, nil), obj{"add": a}, obj{"add": b})...)
	s := inspect(t, d.dir, Columns{Email: "email", Fields: schemas.Fields{All: true}})
	if got := strings.Join(rows(t, s, Options{}), "|"); got != "email=a@x.com p=x q=(null) |email=b@x.com p=(null) q=(null) " {
		t.Error(got)
	}
	w := s.Warnings()
	if len(w) != 2 || !strings.Contains(w[0], `"p"`) || !strings.Contains(w[0], "1 of its 2 files") || !strings.Contains(w[1], `"q"`) || !strings.Contains(w[1], "2 of its 2 files") || !strings.Contains(w[0], d.dir) {
		t.Errorf("%q", w)
	}
}

// withID is a field with the ID that Parquet files keep.
func withID(f arrow.Field, id int) arrow.Field {
	f.Metadata = arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{fmt.Sprint(id)})
	return f
}

func TestDeltaColumnMapping(t *testing.T) {
	mapped := func(name, physical string, id int, kind string) string {
		return fmt.Sprintf(`{"name":%q,"type":%s,"nullable":true,"metadata":{"delta.columnMapping.id":%d,"delta.columnMapping.physicalName":%q}}`, name, kind, id, physical)
	}
	columns := mapped("email", "c-1", 1, `"string"`) + "," + mapped("addr", "c-2", 2, `{"type":"struct","fields":[`+mapped("town", "c-3", 3, `"string"`)+`]}`) + "," + mapped("new", "c-9", 9, `"long"`)
	columns += "," + mapped("all", "c-5", 5, `{"type":"array","elementType":{"type":"struct","fields":[`+mapped("one", "c-6", 6, `"string"`)+`]}}`) + "," +
		mapped("keyed", "c-7", 7, `{"type":"map","keyType":"string","valueType":{"type":"struct","fields":[`+mapped("one", "c-6", 6, `"string"`)+`]}}`) + "," +
		mapped("later", "c-8", 8, `{"type":"struct","fields":[`+mapped("added", "c-10", 10, `"string"`)+`]}`)
	d := newDelta(t)
	inner := arrow.StructOf(str("c-11"), str("c-6"))
	rec := table(t, []arrow.Field{
		typed("c-2", arrow.StructOf(str("c-4"), str("c-3"))), str("c-1"), typed("c-5", arrow.ListOf(inner)),
		typed("c-7", arrow.MapOf(arrow.BinaryTypes.String, inner)), typed("c-8", arrow.StructOf(str("c-12"))),
	}, `[{"c-1":"a@x.com","c-2":{"c-4":"dropped","c-3":"Oslo"},"c-5":[{"c-11":"dropped","c-6":"x"},null],"c-7":[{"key":"k","value":{"c-11":"dropped","c-6":"y"}}],"c-8":{"c-12":"dropped"}}]`)
	d.commit(append(createTable(columns, nil, obj{"delta.columnMapping.mode": "name"}, "columnMapping"), obj{"add": d.write("a.parquet", nil, rec)})...)
	if got := allOf(t, d.dir); got != `email=a@x.com addr={"town":"Oslo"} new=(null) all=[{"one":"x"},null] keyed=[{"key":"k","value":{"one":"y"}}] later={} ` {
		t.Errorf("by name: %s", got)
	}
	s := inspect(t, d.dir, Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "addr.town"}}}})
	if got := rows(t, s, Options{}); got[0] != "email=a@x.com addr.town=Oslo " {
		t.Errorf("by name: %s", got)
	}
	// By IDs, independent of the columns' earlier names. Arrow v15 does not write IDs of structs.
	d = newDelta(t)
	rec = table(t, []arrow.Field{withID(str("x"), 3), withID(str("y"), 1)}, `[{"y":"a@x.com","x":"Oslo"}]`)
	columns = mapped("email", "c-1", 1, `"string"`) + "," + mapped("town", "c-3", 3, `"string"`)
	d.commit(append(createTable(columns, nil, obj{"delta.columnMapping.mode": "id"}, "columnMapping"), obj{"add": d.write("a.parquet", nil, rec)})...)
	if got := allOf(t, d.dir); got != "email=a@x.com town=Oslo " {
		t.Errorf("by ID: %s", got)
	}
}

// TestDeltaTypeWidening: a file keeps the types that the table had when it was written.
func TestDeltaTypeWidening(t *testing.T) {
	column := func(name, kind string) string {
		return fmt.Sprintf(`,{"name":%q,"type":%s,"nullable":true,"metadata":{}}`, name, kind)
	}
	columns := emailColumn + column("i", `"long"`) + column("d", `"double"`) + column("f", `"double"`) + column("m", `"decimal(12,2)"`) + column("n", `"decimal(12,2)"`) +
		column("at", `"timestamp_ntz"`) + column("s", `{"type":"struct","fields":[`+column("x", `"double"`)[1:]+`]}`) + column("l", `{"type":"array","elementType":"double","containsNull":true}`)
	p := arrow.PrimitiveTypes
	old := table(t, []arrow.Field{str("email"), typed("i", p.Int32), typed("d", p.Int32), typed("f", p.Float32), typed("m", p.Int32), typed("n", &arrow.Decimal128Type{Precision: 10, Scale: 1}),
		typed("at", p.Date32), typed("s", arrow.StructOf(typed("x", p.Int16))), typed("l", arrow.ListOf(p.Int32))},
		`[{"email":"a@x.com","i":7,"d":7,"f":1.5,"m":7,"n":"7.5","at":"2026-11-25","s":{"x":7},"l":[7,null]},{"email":"b@x.com"}]`)
	now := table(t, []arrow.Field{str("email"), typed("i", p.Int64), typed("d", p.Float64), typed("f", p.Float64), typed("m", &arrow.Decimal128Type{Precision: 12, Scale: 2}), typed("n", &arrow.Decimal128Type{Precision: 12, Scale: 2}),
		typed("at", &arrow.TimestampType{Unit: arrow.Microsecond}), typed("s", arrow.StructOf(typed("x", p.Float64))), typed("l", arrow.ListOf(p.Float64))},
		`[{"email":"c@x.com","i":8,"d":0.5,"f":2.5,"m":"8.25","n":"8.25","at":"2026-11-25 08:15:30","s":{"x":0.5},"l":[0.5]}]`)
	d := newDelta(t)
	d.commit(append(createTable(columns, nil, nil, "typeWidening", "timestampNtz"), obj{"add": d.write("a.parquet", nil, old)}, obj{"add": d.write("b.parquet", nil, now)})...)
	want := "email=a@x.com i=7 d=7 f=1.5 m=7 n=7.5 at=2026-11-25 00:00:00Z s={\"x\":7} l=[7,null] " +
		"|email=b@x.com i=null d=null f=null m=null n=null at=null s=null l=null " +
		"|email=c@x.com i=8 d=0.5 f=2.5 m=8.25 n=8.25 at=2026-11-25 08:15:30Z s={\"x\":0.5} l=[0.5] "
	if got := allOf(t, d.dir); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	s := inspect(t, d.dir, Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "d"}, {Column: "m"}, {Column: "at"}, {Column: "s.x"}, {Column: "l"}}}})
	got := ""
	for _, c := range s.Columns {
		got += c.Type.String() + " "
	}
	if want := "utf8 float64 decimal(12, 2) timestamp[us] float64 list<item: float64, nullable> "; got != want {
		t.Errorf("the types are %s, want %s", got, want)
	}
	if got := rows(t, s, Options{}); got[0] != "email=a@x.com d=7 m=7 at=2026-11-25 00:00:00Z s.x=7 l=[7,null] " {
		t.Error(got[0])
	}
}

// TestDeltaTypesThatDiffer: a file whose column can't become what the table says is refused, where the
// column is mapped.
func TestDeltaTypesThatDiffer(t *testing.T) {
	p, text := arrow.PrimitiveTypes, arrow.BinaryTypes.String
	list := func(of string) string { return `{"type":"array","elementType":` + of + `,"containsNull":true}` }
	for _, c := range []struct {
		table string // its type
		file  arrow.DataType
		value string
		words []string
	}{
		{`"string"`, p.Int32, `7`, []string{"string", "int32"}},
		{`"string"`, arrow.StructOf(typed("a", p.Int32)), `{"a":7}`, []string{"string", "struct"}},
		{`"string"`, arrow.ListOf(text), `["a"]`, []string{"string", "list"}},
		{`"string"`, arrow.MapOf(text, text), `[{"key":"a","value":"b"}]`, []string{"string", "map"}},
		{`{"type":"struct","fields":[]}`, text, `"a"`, []string{"struct", "utf8"}},
		{list(`"string"`), text, `"a"`, []string{"array", "utf8"}},
		{list(`"string"`), arrow.ListOf(p.Int64), `[7]`, []string{"string", "int64"}},
		{list(`"string"`), arrow.StructOf(typed("a", p.Int32)), `{"a":7}`, []string{"array", "struct"}},
		{`{"type":"map","keyType":"string","valueType":"long","valueContainsNull":true}`, arrow.MapOf(text, p.Float64), `[{"key":"a","value":1.5}]`, []string{"long", "float64"}},
		{`"long"`, p.Float64, `1.5`, []string{"long", "float64"}},
		{`"integer"`, p.Float32, `1.5`, []string{"integer", "float32"}},
		{`"float"`, p.Float64, `1.5`, []string{"float", "float64"}},
		{`"float"`, p.Int32, `1`, []string{"float", "int32"}},
		{`"double"`, p.Int64, `9007199254740993`, []string{"double", "int64"}},
		{`"decimal(10,2)"`, &arrow.Decimal128Type{Precision: 10, Scale: 4}, `"1.2345"`, []string{"decimal(10,2)", "decimal(10, 4)"}},
		{`"decimal(10,4)"`, &arrow.Decimal128Type{Precision: 10, Scale: 2}, `"12345678.25"`, []string{"decimal(10,4)", "decimal(10, 2)"}},
		{`"decimal(10,2)"`, p.Int64, `7`, []string{"decimal(10,2)", "int64"}},
		{`"varchar(10)"`, p.Int64, `7`, []string{"varchar", "int64"}},
	} {
		d := newDelta(t)
		d.commit(append(createTable(emailColumn+fmt.Sprintf(`,{"name":"x","type":%s,"nullable":true,"metadata":{}}`, c.table), nil, nil, "typeWidening"),
			obj{"add": d.write("a.parquet", nil, table(t, []arrow.Field{str("email"), typed("x", c.file)}, `[{"email":"a@x.com","x":`+c.value+`}]`))})...)
		inspect(t, d.dir, Columns{Email: "email"})
		_, err := Inspect(t.Context(), d.dir, Columns{Email: "email", Fields: schemas.Fields{All: true}})
		if err == nil {
			t.Errorf("%s in the table and %s in the file are read", c.table, c.file)
			continue
		}
		wantError(t, err, schemas.ErrorColumn, append(c.words, `"x"`, "typeWidening")...)
	}
}

// z85 encodes in ZeroMQ's variant of base 85.
func z85(data []byte) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
	var b strings.Builder
	for i := 0; i < len(data); i += 4 {
		v := binary.BigEndian.Uint32(data[i:])
		for _, p := range []uint32{85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1} {
			b.WriteByte(digits[v/p%85])
		}
	}
	return b.String()
}

func TestDeltaDeletionVectors(t *testing.T) {
	const n = 20
	gone := roaring64.BitmapOf(0, 3, 4, 19)
	bitmap, err := gone.ToBytes()
	if err != nil {
		t.Fatal(err)
	}
	data := append(binary.LittleEndian.AppendUint32(nil, 1681511377), bitmap...)
	file := append([]byte{1}, binary.BigEndian.AppendUint32(nil, uint32(len(data)))...)
	file = binary.BigEndian.AppendUint32(append(file, data...), crc32.ChecksumIEEE(data))
	id := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	inline := append([]byte{}, data...)
	for len(inline)%4 != 0 {
		inline = append(inline, 0)
	}
	many := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, 1681511377), 1<<34)
	bitmap, err = roaring64.BitmapOf(0, 3, 4, n).ToBytes()
	if err != nil {
		t.Fatal(err)
	}
	beyond := append(binary.LittleEndian.AppendUint32(nil, 1681511377), bitmap...)
	for len(beyond)%4 != 0 {
		beyond = append(beyond, 0)
	}
	empty := func(key string, value any) obj { // what Spark writes of a bitmap without rows
		v := obj{"storageType": "i", "pathOrInlineDv": "", "sizeInBytes": 0, "cardinality": 0}
		v[key] = value
		return v
	}
	stored := obj{"storageType": "u", "pathOrInlineDv": "ab" + z85(id), "offset": 1, "sizeInBytes": len(data), "cardinality": 4}
	for name, c := range map[string]struct {
		vector obj
		word   string
	}{
		"inline":                 {obj{"storageType": "i", "pathOrInlineDv": z85(inline), "sizeInBytes": len(data), "cardinality": 4}, ""},
		"in a file":              {stored, ""},
		"without a count":        {obj{"storageType": "i", "pathOrInlineDv": z85(inline), "sizeInBytes": len(data)}, "damaged"},
		"a count of 0":           {obj{"storageType": "i", "pathOrInlineDv": z85(inline), "sizeInBytes": len(data), "cardinality": 0}, "damaged"},
		"many bitmaps":           {obj{"storageType": "i", "pathOrInlineDv": z85(many), "sizeInBytes": len(many), "cardinality": 4}, "damaged"},
		"rows beyond the file's": {obj{"storageType": "i", "pathOrInlineDv": z85(beyond), "sizeInBytes": len(beyond), "cardinality": 4}, "damaged"},
		"another count":          {obj{"storageType": "i", "pathOrInlineDv": z85(inline), "sizeInBytes": len(data), "cardinality": 5}, "damaged"},
		"a gigabyte":             {obj{"storageType": "i", "pathOrInlineDv": z85(inline), "sizeInBytes": 1 << 30, "cardinality": 4}, "damaged"},
		"empty, with a count":    {empty("cardinality", 4), "damaged"},
		"empty, with a text":     {empty("pathOrInlineDv", z85(inline)), "damaged"},
		"empty, in a file":       {empty("storageType", "u"), "damaged"},
		"not base 85":            {obj{"storageType": "i", "pathOrInlineDv": "~~~~~", "sizeInBytes": 4, "cardinality": 4}, "damaged"},
		"elsewhere":              {obj{"storageType": "p", "pathOrInlineDv": "s3://other/x.bin", "sizeInBytes": 4, "cardinality": 4}, "outside"},
		"a file not there":       {obj{"storageType": "u", "pathOrInlineDv": z85(id), "offset": 1, "sizeInBytes": len(data), "cardinality": 4}, "missing"},
		"beyond the file":        {obj{"storageType": "u", "pathOrInlineDv": "ab" + z85(id), "offset": 9, "sizeInBytes": len(data), "cardinality": 4}, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDelta(t)
			var addresses []string
			want := ""
			for i := range n {
				addresses = append(addresses, fmt.Sprintf("a%d@x.com", i))
				if !gone.Contains(uint64(i)) {
					want += fmt.Sprintf("%d %s|", i, addresses[i])
				}
			}
			writeBytes(t, filepath.Join(d.dir, "ab", "deletion_vector_00010203-0405-0607-0809-0a0b0c0d0e0f.bin"), file)
			add := d.write("a.parquet", nil, emails(t, addresses...))
			d.commit(append(createTable(emailColumn, nil, nil, "deletionVectors"), obj{"add": add})...)
			before := inspect(t, d.dir, Columns{Email: "email"}).Info()
			with := obj{"path": add["path"], "partitionValues": obj{}, "size": add["size"], "deletionVector": c.vector}
			d.commit(obj{"add": with}, obj{"remove": obj{"path": add["path"]}})
			s := inspect(t, d.dir, Columns{Email: "email"})
			got := ""
			var failed error
			for b, err := range s.Read(t.Context(), Options{BatchRows: 7}) {
				if failed = err; err != nil {
					break
				}
				col, err := NewStringColumn(b.Column(0))
				if err != nil {
					t.Fatal(err)
				}
				for i := range col.Len() {
					v, _ := col.Bytes(i)
					got += fmt.Sprintf("%d %s|", b.Offset+int64(i), v)
				}
			}
			if c.word != "" {
				wantError(t, failed, schemas.ErrorSegmentUnreadable, c.word, "a.parquet")
				return
			}
			if failed != nil || got != want || s.Info().Rows != n-4 || s.Info().Fingerprint == before.Fingerprint {
				t.Errorf("%v, %d rows\n got %s\nwant %s", failed, s.Info().Rows, got, want)
			}
		})
	}
}

// TestDeltaVectorWithoutRows: Delta's writer logs such a vector where a bitmap has no rows.
func TestDeltaVectorWithoutRows(t *testing.T) {
	d := newDelta(t)
	add := d.write("a.parquet", nil, emails(t, "a@x.com", "b@x.com"))
	add["deletionVector"] = obj{"storageType": "i", "pathOrInlineDv": "", "sizeInBytes": 0, "cardinality": 0}
	d.commit(append(createTable(emailColumn, nil, nil, "deletionVectors"), obj{"add": add})...)
	if got := allOf(t, d.dir); got != "email=a@x.com |email=b@x.com " {
		t.Error(got)
	}
}

// TestDeltaBesideItsHistory: writers leave any number of files in a table's folder, and
// take them away while it is read.
func TestDeltaBesideItsHistory(t *testing.T) {
	d := newDelta(t)
	d.commit(append(createTable(emailColumn, nil, nil), obj{"add": d.write("p=1/a.parquet", nil, emails(t, "a@x.com"))})...)
	for _, name := range []string{"p=1/old.parquet", "_change_data/cdc.parquet", "_delta_log/00000000000000000000.crc", "p=1/.a.parquet.crc"} {
		writeBytes(t, filepath.Join(d.dir, name), []byte("x"))
	}
	for _, name := range []string{"_delta_log/1.json.tmp", "_delta_log/00000000000000000001.json", "p=1/vacuumed.parquet"} {
		if err := os.Symlink("nowhere", filepath.Join(d.dir, name)); err != nil { // as listed, and gone when it is looked at
			t.Fatal(err)
		}
	}
	if got := allOf(t, d.dir); got != "email=a@x.com " {
		t.Error(got)
	}
}

func TestDeltaThatCanNotBeRead(t *testing.T) {
	good := func(d *deltaTable) obj { return obj{"add": d.write("a.parquet", nil, emails(t, "a@x.com"))} }
	for name, c := range map[string]struct {
		make  func(d *deltaTable)
		words []string
	}{
		"an unknown feature": {func(d *deltaTable) { d.commit(append(createTable(emailColumn, nil, nil, "variantType"), good(d))...) }, []string{`"variantType"`}},
		"a reader of version 4": {func(d *deltaTable) {
			d.commit(append(createTable(emailColumn, nil, nil)[1:], obj{"protocol": obj{"minReaderVersion": 4}}, good(d))...)
		}, []string{"version 4"}},
		"a file is vacuumed": {func(d *deltaTable) {
			d.commit(append(createTable(emailColumn, nil, nil), good(d), obj{"add": obj{"path": "b.parquet", "partitionValues": obj{}, "size": 1}})...)
		}, []string{"b.parquet", "vacuumed"}},
		"a file of another size": {func(d *deltaTable) {
			a := good(d)
			a["add"].(obj)["size"] = 3
			d.commit(append(createTable(emailColumn, nil, nil), a)...)
		}, []string{"a.parquet", "says 3"}},
		"no values of partitions": {func(d *deltaTable) {
			a := good(d)
			delete(a["add"].(obj), "partitionValues")
			d.commit(append(createTable(emailColumn+`,{"name":"p","type":"string","nullable":true,"metadata":{}}`, []string{"p"}, nil), a)...)
		}, []string{"a.parquet", `"p"`}},
		"a file without IDs": {func(d *deltaTable) {
			column := `{"name":"email","type":"string","nullable":true,"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"email"}}`
			d.commit(append(createTable(column, nil, obj{"delta.columnMapping.mode": "id"}, "columnMapping"), good(d))...)
		}, []string{"a.parquet", "no IDs"}},
		"a file twice": {func(d *deltaTable) {
			a := good(d)["add"].(obj)
			with := obj{"deletionVector": obj{"storageType": "i", "pathOrInlineDv": "00000", "sizeInBytes": 4, "cardinality": 1}}
			for k, v := range a {
				with[k] = v
			}
			d.commit(append(createTable(emailColumn, nil, nil, "deletionVectors"), obj{"add": a}, obj{"add": with})...)
		}, []string{"a.parquet", "twice", "RESTORE TABLE"}},
		"a file outside": {func(d *deltaTable) {
			d.commit(append(createTable(emailColumn, nil, nil), obj{"add": obj{"path": "../x.parquet"}})...)
		}, []string{"outside"}},
		"a file elsewhere": {func(d *deltaTable) {
			d.commit(append(createTable(emailColumn, nil, nil), obj{"add": obj{"path": "s3://b/x.parquet"}})...)
		}, []string{"clone"}},
		"a commit cut off": {func(d *deltaTable) {
			d.commit(createTable(emailColumn, nil, nil)...)
			d.log("00000000000000000001.json", `{"add":{"path":"a`)
		}, []string{"00000000000000000001.json", "cut off"}},
		"no commit":           {func(d *deltaTable) { d.log("x", "") }, []string{"no commit"}},
		"a commit is missing": {func(d *deltaTable) { d.commit(createTable(emailColumn, nil, nil)...); d.version++; d.commit() }, []string{"lacks version 1"}},
		"no schema":           {func(d *deltaTable) { d.commit(good(d)) }, []string{"schema"}},
		"a bad schema":        {func(d *deltaTable) { d.commit(append(createTable("{", nil, nil), good(d))...) }, []string{"schema"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDelta(t)
			c.make(d)
			_, err := Inspect(t.Context(), d.dir, Columns{Email: "email"})
			wantError(t, err, schemas.ErrorSegmentUnreadable, c.words...)
		})
	}
}

// TestDeltaReadsNothingElsewhere: whoever writes a table's log names files of the worker's machine in
// it, in every way there is to write that. There is such a file each time.
func TestDeltaReadsNothingElsewhere(t *testing.T) {
	for name, path := range map[string]func(victim string) string{
		"absolute":                 func(victim string) string { return victim },
		"an encoded slash":         func(victim string) string { return "%2F" + victim[1:] },
		"a URL":                    func(victim string) string { return "file://" + victim },
		"a URL of one slash":       func(victim string) string { return "file:" + victim },
		"an encoded URL":           func(victim string) string { return "file%3A%2F%2F" + victim },
		"dots":                     func(string) string { return "../victim/x.parquet" },
		"encoded dots":             func(string) string { return "%2e%2e/victim/x.parquet" },
		"encoded dots and slashes": func(string) string { return "..%2Fvictim%2Fx.parquet" },
		"dots in the middle":       func(string) string { return "p=1/../../victim/x.parquet" },
		"twice encoded":            func(string) string { return "%252e%252e/victim/x.parquet" },
		"a bucket":                 func(victim string) string { return "s3://private" + victim },
	} {
		t.Run(name, func(t *testing.T) {
			lake := t.TempDir()
			d := &deltaTable{t: t, dir: filepath.Join(lake, "table")}
			victim := filepath.Join(lake, "victim", "x.parquet")
			writeParquet(t, victim, 10, []arrow.Record{emails(t, "victim@x.com")})
			d.commit(append(createTable(emailColumn, nil, nil), obj{"add": obj{"path": path(victim), "partitionValues": obj{}}})...)
			_, err := Inspect(t.Context(), d.dir, Columns{Email: "email"})
			wantError(t, err, schemas.ErrorSegmentUnreadable)

			d = &deltaTable{t: t, dir: filepath.Join(lake, "with a sidecar")}
			d.log("00000000000000000000.checkpoint.abc.json", fmt.Sprintf(`{"sidecar":{"path":%q}}`, path(victim)))
			_, err = Inspect(t.Context(), d.dir, Columns{Email: "email"})
			wantError(t, err, schemas.ErrorSegmentUnreadable)

			for _, v := range []obj{
				{"storageType": "p", "pathOrInlineDv": path(victim), "sizeInBytes": 4, "cardinality": 4},
				{"storageType": "u", "pathOrInlineDv": path(victim) + "ab^-aqEH.-t@S}K{vb[*k^", "sizeInBytes": 4, "cardinality": 4},
			} {
				d = &deltaTable{t: t, dir: filepath.Join(t.TempDir(), "with deleted rows")}
				add := d.write("a.parquet", nil, emails(t, "a@x.com"))
				add["deletionVector"] = v
				d.commit(append(createTable(emailColumn, nil, nil, "deletionVectors"), obj{"add": add})...)
				seg := inspect(t, d.dir, Columns{Email: "email"})
				var failed error
				for _, err := range seg.ReadAll(t.Context()) {
					if failed = err; err != nil {
						break
					}
				}
				wantError(t, failed, schemas.ErrorSegmentUnreadable)
			}
		})
	}
}

// TestTablesAreNotFolders: a table's folder is not read as a folder of files, whether the
// source is above, at or below it.
func TestTablesAreNotFolders(t *testing.T) {
	d := newDelta(t)
	d.commit(append(createTable(emailColumn, nil, nil), obj{"add": d.write("p=1/a.parquet", obj{"p": "1"}, emails(t, "a@x.com"))})...)
	other := t.TempDir()
	for _, name := range []string{"ice/data/a.parquet", "ice/metadata/v1.metadata.json", "hudi/.hoodie/hoodie.properties", "hudi/a/b.parquet"} {
		writeBytes(t, filepath.Join(other, name), []byte("x"))
	}
	for source, words := range map[string][]string{
		d.dir + "/p=1":                {"Delta", "name the table's folder"},
		d.dir + "/p=1/a.parquet":      {"Delta", "name the table's folder"},
		filepath.Dir(d.dir):           {"Delta", "name the table's folder"},
		d.dir + "/*":                  nil,
		other + "/ice":                {"Iceberg"},
		other + "/ice/data":           {"Iceberg"},
		other + "/ice/data/*.parquet": {"Iceberg"},
		other + "/hudi":               {"Hudi"},
		other + "/hudi/a/b.parquet":   {"Hudi"},
		other:                         {"belongs to a table", "Parquet"},
	} {
		_, err := Inspect(t.Context(), source, Columns{Email: "email"})
		if words == nil {
			if err != nil {
				t.Errorf("%s: %v", source, err)
			}
			continue
		}
		wantError(t, err, schemas.ErrorSegmentUnreadable, words...)
	}
}
