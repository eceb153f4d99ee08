package arrowfile

import (
	"encoding/binary"
	"io"

	flatbuffers "github.com/google/flatbuffers/go"

	"iterable-segment-export/internal/columnar"
)

// This file reads the needed part of Arrow's flatbuffers (Message.fbs, Schema.fbs,
// File.fbs). The library panics for offsets outside the data, which columnar.Guard turns
// into an error.

// table is a table of a flatbuffer. Its fields are numbered.
type table struct{ flatbuffers.Table }

func root(data []byte) table {
	return table{flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}}
}

// at returns the position of a field, 0 if it is not set.
func (t table) at(field int) flatbuffers.UOffsetT {
	if o := flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(4 + 2*field))); o != 0 {
		return t.Pos + o
	}
	return 0
}

// number returns a number of 1, 2, 4 or 8 bytes, and unset if the field is not set.
func (t table) number(field, bytes int, unset int64) int64 {
	switch at := t.at(field); {
	case at == 0:
		return unset
	case bytes == 1:
		return int64(t.GetInt8(at))
	case bytes == 2:
		return int64(t.GetInt16(at))
	case bytes == 4:
		return int64(t.GetInt32(at))
	default:
		return t.GetInt64(at)
	}
}

func (t table) table(field int) (table, bool) {
	at := t.at(field)
	if at == 0 {
		return table{}, false
	}
	return t.follow(at), true
}

// follow returns the table at an offset.
func (t table) follow(at flatbuffers.UOffsetT) table {
	return table{flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)}}
}

// vector returns the positions of a vector's elements and their number. It returns an
// error if they are outside the data.
func (t table) vector(field, width int) (func(i int) flatbuffers.UOffsetT, int, error) {
	at := t.at(field)
	if at == 0 {
		return nil, 0, nil
	}
	first, n := t.Vector(at-t.Pos), t.VectorLen(at-t.Pos)
	if n < 0 || int64(first)+int64(n)*int64(width) > int64(len(t.Bytes)) {
		return nil, 0, errIPC
	}
	return func(i int) flatbuffers.UOffsetT { return first + flatbuffers.UOffsetT(i*width) }, n, nil
}

// Kinds of messages, by MessageHeader.
const (
	messageSchema     = 1
	messageDictionary = 2
	messageRecord     = 3
)

// message is a part of a file or stream: metadata and a body.
type message struct {
	version    int64
	kind       int64
	header     table
	body, size int64 // offset and size of the body in the file
}

const (
	continuation = 0xFFFFFFFF
	// maxMessage is the maximum size of a message's metadata in bytes.
	maxMessage = 64 << 20
)

// readMessage reads the message at an offset. Its error is io.EOF at the end of a stream
// and at the end of the file.
func readMessage(src *columnar.Source, at int64) (m message, err error) {
	size := src.Size()
	if at == size {
		return m, io.EOF
	}
	if at < 0 || at > size-4 {
		return m, errTruncated
	}
	var head [8]byte
	n := min(8, size-at)
	if err := src.ReadFull(head[:n], at); err != nil {
		return m, err
	}
	length := int64(binary.LittleEndian.Uint32(head[:]))
	at += 4
	if length == continuation && n == 8 {
		length = int64(binary.LittleEndian.Uint32(head[4:]))
		at += 4
	}
	if length == 0 {
		return m, io.EOF
	}
	if length > maxMessage || length < 8 || at+length > size {
		return m, errTruncated
	}
	data := make([]byte, length)
	if err := src.ReadFull(data, at); err != nil {
		return m, err
	}
	m, err = parseMessage(data)
	if m.body = at + length; m.size < 0 || m.size > size-m.body {
		return m, errTruncated
	}
	return m, err
}

func parseMessage(data []byte) (m message, err error) {
	t := root(data)
	m = message{version: t.number(0, 2, 0), kind: t.number(1, 1, 0), size: t.number(3, 8, 0)}
	var ok bool
	if m.header, ok = t.table(2); !ok {
		err = errIPC
	}
	return m, err
}

// pair is a FieldNode (length, number of nulls) or a Buffer (offset, length).
type pair struct{ a, b int64 }

// recordBatch describes where the values of a batch are.
type recordBatch struct {
	rows     int64
	nodes    []pair
	buffers  []pair
	codec    int64   // codecNone if nothing is compressed
	variadic []int64 // the number of buffers of each column of views
}

func (m message) batch() (b recordBatch, err error) {
	if m.kind != messageRecord {
		return b, errIPC
	}
	return parseBatch(m.header)
}

func parseBatch(t table) (b recordBatch, err error) {
	b = recordBatch{rows: t.number(0, 8, 0), codec: codecNone}
	if c, ok := t.table(3); ok {
		b.codec = c.number(0, 1, codecLz4Frame)
	}
	if b.nodes, err = t.pairs(1); err == nil {
		b.buffers, err = t.pairs(2)
	}
	if err != nil || b.rows < 0 {
		return b, errIPC
	}
	at, n, err := t.vector(4, 8)
	for i := range n {
		b.variadic = append(b.variadic, t.GetInt64(at(i)))
	}
	return b, err
}

func (t table) pairs(field int) ([]pair, error) {
	at, n, err := t.vector(field, 16)
	out := make([]pair, n)
	for i := range out {
		if out[i] = (pair{t.GetInt64(at(i)), t.GetInt64(at(i) + 8)}); out[i].a < 0 || out[i].b < 0 {
			return nil, errIPC
		}
	}
	return out, err
}
