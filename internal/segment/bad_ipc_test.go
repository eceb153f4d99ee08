package segment

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/endian"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"

	"iterable-segment-export/schemas"
)

func ipcBytes(t testing.TB, write func(t testing.TB, path string)) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	write(t, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func arrowFileBytes(t testing.TB, rec arrow.Record, opts ...ipc.Option) []byte {
	return ipcBytes(t, func(t testing.TB, path string) { writeIPCFile(t, path, []arrow.Record{rec}, opts...) })
}

func streamBytes(t testing.TB, rec arrow.Record, opts ...ipc.Option) []byte {
	return ipcBytes(t, func(t testing.TB, path string) { writeStream(t, path, []arrow.Record{rec}, opts...) })
}

// dictionaryEmails returns a record with an e-mail column of these indices into values.
func dictionaryEmails(t testing.TB, indices []int32, values ...string) arrow.Record {
	t.Helper()
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	dict := emails(t, values...).Column(0)
	ib := array.NewInt32Builder(memory.DefaultAllocator)
	ib.AppendValues(indices, nil)
	arr := array.NewDictionaryArray(dt, ib.NewArray(), dict)
	return array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "email", Type: dt, Nullable: true}}, nil), []arrow.Array{arr}, int64(len(indices)))
}

// record finds the last record batch message of a stream, for a test to change:
// its parsed form shares memory with data.
func record(t testing.TB, data []byte) (m message, batch flatbuffers.Table, body []byte) {
	t.Helper()
	for at := 0; at < len(data); {
		n := int(binary.LittleEndian.Uint32(data[at+4:]))
		if n == 0 {
			break
		}
		msg := parseMessage(data[at+8 : at+8+n])
		at += 8 + n
		if msg.kind == messageRecord {
			m, body = msg, data[at:at+int(msg.bodyLength)]
		}
		at += int(msg.bodyLength)
	}
	return m, m.header, body
}

func TestBadIPC(t *testing.T) {
	const unreadable = schemas.ErrorSegmentUnreadable
	rec := emails(t, "a@example.com", "b@example.com", "c@example.com")
	stream := func(change func(m message, batch flatbuffers.Table, body []byte), opts ...ipc.Option) []byte {
		data := streamBytes(t, rec, opts...)
		change(record(t, data))
		return data
	}
	put := binary.LittleEndian.PutUint64
	vectorAt := func(b flatbuffers.Table, field int) []byte {
		return b.Bytes[b.Vector(slot(b, field)):]
	}
	good := arrowFileBytes(t, rec)
	file := func(change func(data []byte) []byte) []byte { return change(bytes.Clone(good)) }
	for name, c := range map[string]struct {
		data  []byte
		words []string
	}{
		"a body that is not there": {stream(func(m message, _ flatbuffers.Table, _ []byte) {
			tab := flatbuffers.Table{Bytes: m.header.Bytes, Pos: flatbuffers.GetUOffsetT(m.header.Bytes)}
			tab.MutateInt64(tab.Pos+slot(tab, 3), 1<<50)
		}), []string{"cut off"}},
		"a negative body": {stream(func(m message, _ flatbuffers.Table, _ []byte) {
			tab := flatbuffers.Table{Bytes: m.header.Bytes, Pos: flatbuffers.GetUOffsetT(m.header.Bytes)}
			tab.MutateInt64(tab.Pos+slot(tab, 3), -8)
		}), []string{"cut off"}},
		"rows without end": {stream(func(_ message, b flatbuffers.Table, _ []byte) {
			b.MutateInt64(b.Pos+slot(b, 0), 1<<60)
			put(vectorAt(b, 1), 1<<60)
		}), []string{"rows in"}},
		"more rows than the column has": {stream(func(_ message, b flatbuffers.Table, _ []byte) {
			b.MutateInt64(b.Pos+slot(b, 0), 1000)
		}), []string{"email", "damaged"}},
		"negative rows": {stream(func(_ message, b flatbuffers.Table, _ []byte) {
			b.MutateInt64(b.Pos+slot(b, 0), -1)
		}), []string{"damaged"}},
		"more rows than bytes": {stream(func(_ message, b flatbuffers.Table, _ []byte) {
			b.MutateInt64(b.Pos+slot(b, 0), 1000)
			put(vectorAt(b, 1), 1000)
		}), []string{"email", "fewer bytes"}},
		"a buffer outside": {stream(func(_ message, b flatbuffers.Table, _ []byte) {
			put(vectorAt(b, 2)[16:], 1<<50)
		}), []string{"email"}},
		"a buffer longer than its body": {stream(func(_ message, b flatbuffers.Table, _ []byte) {
			put(vectorAt(b, 2)[24:], math.MaxInt64)
		}), []string{"email"}},
		"offsets that fall": {stream(func(_ message, _ flatbuffers.Table, body []byte) {
			binary.LittleEndian.PutUint32(body[4:], 30)
		}), []string{"email", "damaged"}},
		"negative offsets": {stream(func(_ message, _ flatbuffers.Table, body []byte) {
			binary.LittleEndian.PutUint32(body, 0xFFFFFFFF)
		}), []string{"email", "damaged"}},
		"offsets beyond the data": {stream(func(_ message, _ flatbuffers.Table, body []byte) {
			binary.LittleEndian.PutUint32(body[12:], math.MaxInt32)
		}), []string{"email", "fewer bytes"}},
		"a compressed buffer of a negative size": {stream(func(_ message, b flatbuffers.Table, body []byte) {
			put(body, 1<<63)
		}, ipc.WithZstd()), []string{"email", "damaged"}},
		"a compressed buffer that is too short": {stream(func(_ message, b flatbuffers.Table, body []byte) {
			put(body, 4)
		}, ipc.WithZstd()), []string{"email", "fewer bytes"}},
		"no zstd": {stream(func(_ message, _ flatbuffers.Table, body []byte) {
			clear(body[8:])
		}, ipc.WithZstd()), []string{"email"}},
		"no lz4": {stream(func(_ message, _ flatbuffers.Table, body []byte) {
			clear(body[8:])
		}, ipc.WithLZ4()), []string{"email"}},
		"an index beyond its dictionary": {func() []byte {
			data := streamBytes(t, dictionaryEmails(t, []int32{0, 1, 1}, "a@example.com", "b@example.com"))
			_, _, body := record(t, data)
			binary.LittleEndian.PutUint32(body[4:], 2)
			return data
		}(), []string{"email", "dictionary"}},
		"a negative index": {func() []byte {
			data := streamBytes(t, dictionaryEmails(t, []int32{0, 1, 1}, "a@example.com", "b@example.com"))
			_, _, body := record(t, data)
			binary.LittleEndian.PutUint32(body[4:], 0xFFFFFFFF)
			return data
		}(), []string{"email", "dictionary"}},
		"a footer longer than the file": {file(func(d []byte) []byte {
			binary.LittleEndian.PutUint32(d[len(d)-10:], 1<<30)
			return d
		}), []string{"footer"}},
		"a negative footer": {file(func(d []byte) []byte {
			binary.LittleEndian.PutUint32(d[len(d)-10:], 0xFFFFFFF0)
			return d
		}), []string{"footer"}},
		"no end":              {file(func(d []byte) []byte { return d[:len(d)-3] }), []string{"cut off"}},
		"the beginning alone": {file(func(d []byte) []byte { return d[:12] }), []string{"cut off"}},
		"a schema of gigabytes": {func() []byte {
			d := streamBytes(t, rec)
			binary.LittleEndian.PutUint32(d[4:], 1<<30)
			return d
		}(), []string{"not a Parquet or Arrow file"}},
		"big end first": {streamBytes(t, array.NewRecord(rec.Schema().WithEndianness(endian.BigEndian), rec.Columns(), rec.NumRows())), []string{"big-endian"}},
	} {
		t.Run(name, func(t *testing.T) { fails(t, c.data, unreadable, c.words...) })
	}
}

// TestSchemaThatUnfolds reads a schema whose structs share their children: a few hundred bytes
// expand to 2^40 columns.
func TestSchemaThatUnfolds(t *testing.T) {
	b := flatbuffers.NewBuilder(0)
	name := b.CreateString("x")
	field := func(children flatbuffers.UOffsetT, kind byte) flatbuffers.UOffsetT {
		b.StartObject(0)
		typ := b.EndObject()
		b.StartObject(7)
		b.PrependUOffsetTSlot(0, name, 0)
		b.PrependByteSlot(2, kind, 0)
		b.PrependUOffsetTSlot(3, typ, 0)
		if children != 0 {
			b.PrependUOffsetTSlot(5, children, 0)
		}
		return b.EndObject()
	}
	const utf8, structs = 5, 13
	f := field(0, utf8)
	for range 40 {
		b.StartVector(4, 2, 4)
		b.PrependUOffsetT(f)
		b.PrependUOffsetT(f)
		f = field(b.EndVector(2), structs)
	}
	b.StartVector(4, 1, 4)
	b.PrependUOffsetT(f)
	fields := b.EndVector(1)
	b.StartObject(4)
	b.PrependUOffsetTSlot(1, fields, 0)
	schema := b.EndObject()
	b.StartObject(5)
	b.PrependInt16Slot(0, metadataV5, 0)
	b.PrependByteSlot(1, messageSchema, 0)
	b.PrependUOffsetTSlot(2, schema, 0)
	b.Finish(b.EndObject())
	msg := b.FinishedBytes()
	for len(msg)%8 != 0 {
		msg = append(msg, 0)
	}
	data := binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, uint32(len(msg)))
	fails(t, append(data, msg...), schemas.ErrorSegmentUnreadable, "more than 200000 columns")
}

func TestMemoryIsBounded(t *testing.T) {
	// Half a gigabyte of zeros as an e-mail address, in a few kilobytes.
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(emails(t).Schema()), ipc.WithZstd())
	if err := w.Write(emails(t, strings.Repeat("\x00", 520<<20))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	fails(t, b.Bytes(), schemas.ErrorSegmentUnreadable, "email", "512 MB")
}

func TestOtherFiles(t *testing.T) {
	const unreadable = schemas.ErrorSegmentUnreadable
	good := parquetBytes(t, 1, "a@example.com")
	for name, c := range map[string]struct {
		data string
		word string
	}{
		"nothing":           {"", "empty"},
		"text":              {"email\nsecret@example.com\n", "not a Parquet or Arrow file; others, such as CSV, are not read"},
		"a zip":             {"PK\x03\x04 and so on", "PK"},
		"three bytes":       {"PAR", "not a Parquet"},
		"the name alone":    {"PAR1", "cut off"},
		"cut off":           {string(good[:len(good)-2]), "cut off"},
		"cut in the middle": {string(good[:len(good)/2]), "cut off"},
		"encrypted":         {"PARE" + string(good[4:]), "encrypted"},
		"encrypted footer":  {string(good[:len(good)-4]) + "PARE", "encrypted"},
		"Feather version 1": {"FEA1 and so on", "version 2"},
		"no footer":         {"PAR1\x00\x00\x00\x00PAR1", "footer"},
		"a footer too long": {"PAR1\xff\xff\xff\x7fPAR1", "footer"},
	} {
		t.Run(name, func(t *testing.T) {
			fails(t, []byte(c.data), unreadable, c.word)
			path := filepath.Join(t.TempDir(), "x")
			writeBytes(t, path, []byte(c.data))
			if err := readAll(t, path, Columns{Email: "email"}); strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the file's content: %v", err)
			}
		})
	}
}

// TestDamagedFiles slightly damages files of every form. The result must be rows, or an error
// with the file and the problem.
func TestDamagedFiles(t *testing.T) {
	want := Columns{Email: "contact.email", UserID: "id", Fields: schemas.Fields{All: true}}
	changes := 100
	if os.Getenv("DAMAGE") != "" {
		changes = 20_000
	}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "damaged.file")
			files, failed := 0, 0
			for what, bad := range damage(t, written(t, write, 12), changes) {
				writeBytes(t, path, bad)
				files++
				if err := readAll(t, path, want); err != nil {
					failed++
					explained(t, err)
				}
				if t.Failed() {
					t.Fatalf("%s", what)
				}
			}
			t.Logf("%d damaged files, %d of them refused", files, failed)
			if failed < 50 {
				t.Errorf("%d damaged files were refused", failed)
			}
		})
	}
}
