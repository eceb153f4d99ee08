package arrowfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"iterable-segment-export/internal/columnar"

	flatbuffers "github.com/google/flatbuffers/go"
)

// The little of Arrow's flatbuffers (Message.fbs, Schema.fbs, File.fbs) that is
// needed to find buffers. Offsets that lead out of the data make the library
// panic, which guard turns into an error.

// Kinds of messages, by MessageHeader.
const (
	messageSchema     = 1
	messageDictionary = 2
	messageRecord     = 3
)

// metadataV5 is the version from which on unions have no validity buffer.
const metadataV5 = 4

type message struct {
	version    int16
	kind       byte
	header     flatbuffers.Table
	bodyLength int64
}

// slot is the place of a table's field, by its number in the schema.
func slot(t flatbuffers.Table, field int) flatbuffers.UOffsetT {
	return flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(4 + 2*field)))
}

func root(data []byte) flatbuffers.Table {
	return flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
}

func int64At(t flatbuffers.Table, field int, def int64) int64 {
	if o := slot(t, field); o != 0 {
		return t.GetInt64(t.Pos + o)
	}
	return def
}

func tableAt(t flatbuffers.Table, field int) (flatbuffers.Table, bool) {
	o := slot(t, field)
	if o == 0 {
		return flatbuffers.Table{}, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + o)}, true
}

// vector gives the position of a vector's elements and their number, checked
// against the data.
func vector(t flatbuffers.Table, field, width int) (flatbuffers.UOffsetT, int, error) {
	o := slot(t, field)
	if o == 0 {
		return 0, 0, nil
	}
	at, n := t.Vector(o), t.VectorLen(o)
	if n < 0 || int64(at)+int64(n)*int64(width) > int64(len(t.Bytes)) {
		return 0, 0, errIPC
	}
	return at, n, nil
}

func parseMessage(data []byte) (message, error) {
	t := root(data)
	m := message{bodyLength: int64At(t, 3, 0)}
	if o := slot(t, 0); o != 0 {
		m.version = t.GetInt16(t.Pos + o)
	}
	if o := slot(t, 1); o != 0 {
		m.kind = t.GetByte(t.Pos + o)
	}
	header, ok := tableAt(t, 2)
	if !ok {
		return m, errIPC
	}
	m.header = header
	return m, nil
}

// pair is a FieldNode (length, number of nulls) or a Buffer (offset, length).
type pair struct{ a, b int64 }

// recordBatch is where the values of a batch lie.
type recordBatch struct {
	rows     int64
	nodes    []pair
	buffers  []pair
	codec    int8 // -1 where nothing is compressed
	variadic []int64
}

func (m message) batch(kind byte) (recordBatch, error) {
	if m.kind != kind {
		return recordBatch{}, errIPC
	}
	return parseBatch(m.header)
}

func parseBatch(t flatbuffers.Table) (recordBatch, error) {
	b := recordBatch{rows: int64At(t, 0, 0), codec: -1}
	var err error
	if b.nodes, err = pairs(t, 1); err != nil {
		return b, err
	}
	if b.buffers, err = pairs(t, 2); err != nil {
		return b, err
	}
	if c, ok := tableAt(t, 3); ok {
		b.codec = codecLz4Frame
		if o := slot(c, 0); o != 0 {
			b.codec = c.GetInt8(c.Pos + o)
		}
	}
	at, n, err := vector(t, 4, 8)
	for i := range n {
		b.variadic = append(b.variadic, t.GetInt64(at+flatbuffers.UOffsetT(8*i)))
	}
	if b.rows < 0 {
		return b, errIPC
	}
	return b, err
}

func pairs(t flatbuffers.Table, field int) ([]pair, error) {
	at, n, err := vector(t, field, 16)
	out := make([]pair, n)
	for i := range out {
		p := at + flatbuffers.UOffsetT(16*i)
		out[i] = pair{t.GetInt64(p), t.GetInt64(p + 8)}
		if out[i].a < 0 || out[i].b < 0 {
			return nil, errIPC
		}
	}
	return out, err
}

// parseFooter gives the blocks of dictionaries and of record batches.
func parseFooter(data []byte) (dicts, batches []block, err error) {
	t := root(data)
	for _, v := range []struct {
		field int
		out   *[]block
	}{{2, &dicts}, {3, &batches}} {
		at, n, err := vector(t, v.field, 24)
		if err != nil {
			return nil, nil, err
		}
		for i := range n {
			*v.out = append(*v.out, block{offset: t.GetInt64(at + flatbuffers.UOffsetT(24*i))})
		}
	}
	return dicts, batches, nil
}

// schemaMessage wraps the schema of a footer in a message, as Arrow wants it. The
// offsets in a flatbuffer are relative, so that the footer can be a part of it.
func schemaMessage(footer []byte, schema flatbuffers.Table) []byte {
	const vtable, table, end = 4, 16, 32
	le := binary.LittleEndian
	m := make([]byte, end, end+len(footer))
	le.PutUint32(m, table)
	for i, v := range []uint16{12, 12, 8, 10, 4, 0} { // sizes; version, kind, header, no body
		le.PutUint16(m[vtable+2*i:], v)
	}
	le.PutUint32(m[table:], table-vtable)
	le.PutUint32(m[table+4:], uint32(end-table-4)+uint32(schema.Pos))
	le.PutUint16(m[table+8:], metadataV5)
	m[table+10] = messageSchema
	m = append(m, footer...)
	for len(m)%8 != 0 {
		m = append(m, 0)
	}
	head := le.AppendUint32(le.AppendUint32(nil, ipcContinuation), uint32(len(m)))
	return append(head, m...)
}

// fieldIDs are the numbers of the dictionaries that a column and its children
// use; Arrow keeps them to itself.
type fieldIDs struct {
	dictionary int64 // -1 for none
	children   []fieldIDs
}

// maxFields bounds the columns of a file, nested ones included, and the remarks on
// them; maxTexts bounds the bytes of their names and remarks.
const (
	maxFields = 200_000
	maxTexts  = 64 << 20
)

// schemaIDs also makes sure that a schema is small enough and not nested too
// deep, before Arrow follows it: parts of a flatbuffer can be used more than
// once, so that a small one can unfold to any size, and Arrow takes memory for
// whatever number of remarks it claims.
func schemaIDs(schema flatbuffers.Table) ([]fieldIDs, error) {
	u := unfolding{fields: maxFields, texts: maxTexts}
	if err := u.remarks(schema, 2); err != nil {
		return nil, err
	}
	return u.children(schema, 1, 0)
}

// unfolding is how much more a schema may have.
type unfolding struct{ fields, texts int }

// text counts a text of a table.
func (u *unfolding) text(t flatbuffers.Table, field int) error {
	_, n, err := vector(t, field, 1)
	if u.texts -= n; err == nil && u.texts < 0 {
		err = fmt.Errorf("the names of its columns, and the remarks on them, take more than %d MB; shorten them", maxTexts>>20)
	}
	return err
}

// remarks counts the keys and values that a table has as custom metadata.
func (u *unfolding) remarks(t flatbuffers.Table, field int) error {
	at, n, err := vector(t, field, 4)
	if err != nil {
		return err
	}
	if u.fields -= n; u.fields < 0 {
		return fmt.Errorf("it has more than %d columns and remarks on them; leave some out", maxFields)
	}
	for i := range n {
		pair := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(4*i))}
		if err := errors.Join(u.text(pair, 0), u.text(pair, 1)); err != nil {
			return err
		}
	}
	return nil
}

// typeTimestamp is the one type with a text in it, its time zone.
const typeTimestamp = 10

func (u *unfolding) children(t flatbuffers.Table, field, depth int) ([]fieldIDs, error) {
	at, n, err := vector(t, field, 4)
	if err != nil {
		return nil, err
	}
	if depth > columnar.MaxNesting && n > 0 {
		return nil, fmt.Errorf("its columns are nested more than %d levels deep; flatten them", columnar.MaxNesting)
	}
	if u.fields -= n; u.fields < 0 {
		return nil, fmt.Errorf("it has more than %d columns, nested ones included; leave some out", maxFields)
	}
	out := make([]fieldIDs, n)
	for i := range out {
		f := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(4*i))}
		if err := errors.Join(u.text(f, 0), u.remarks(f, 6)); err != nil {
			return nil, err
		}
		if o := slot(f, 2); o != 0 && f.GetByte(f.Pos+o) == typeTimestamp {
			if zone, ok := tableAt(f, 3); ok {
				if err := u.text(zone, 1); err != nil {
					return nil, err
				}
			}
		}
		out[i].dictionary = -1
		if enc, ok := tableAt(f, 4); ok {
			out[i].dictionary = int64At(enc, 0, 0)
		}
		if out[i].children, err = u.children(f, 5, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CheckSchema makes sure that a schema message, as Arrow writes it into other
// files, is small enough for Arrow to read it.
func CheckSchema(data []byte) (err error) {
	defer columnar.Guard(&err)
	const continuation = 4
	if len(data) < 8 || binary.LittleEndian.Uint32(data) != ipcContinuation {
		return errIPC
	}
	length := int64(binary.LittleEndian.Uint32(data[continuation:]))
	if length < 8 || length > int64(len(data)-8) {
		return errIPC
	}
	msg, err := parseMessage(data[8 : 8+length])
	if err != nil {
		return err
	}
	if msg.kind != messageSchema {
		return errIPC
	}
	_, err = schemaIDs(msg.header)
	return err
}
