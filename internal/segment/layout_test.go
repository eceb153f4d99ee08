package segment

import (
	"bytes"
	"context"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	flatbuffers "github.com/google/flatbuffers/go"
)

// The little of the formats that tests need to damage a file at a certain place.

var (
	magicParquet = []byte("PAR1")
	magicArrow   = []byte("ARROW1")
)

// Kinds of Arrow messages, the version from which on unions have no validity, and
// Thrift's types and Parquet's pages.
const (
	messageSchema = 1
	messageRecord = 3
	metadataV5    = 4

	thriftI32    = 5
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12

	pageData       = 0
	pageDictionary = 2
)

// message is an Arrow message.
type message struct {
	kind       byte
	header     flatbuffers.Table
	bodyLength int64
}

func slot(t flatbuffers.Table, field int) flatbuffers.UOffsetT {
	return flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(4 + 2*field)))
}

func parseMessage(data []byte) message {
	t := flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
	m := message{kind: t.GetByte(t.Pos + slot(t, 1)), header: flatbuffers.Table{Bytes: data, Pos: t.Indirect(t.Pos + slot(t, 2))}}
	if o := slot(t, 3); o != 0 {
		m.bodyLength = t.GetInt64(t.Pos + o)
	}
	return m
}

// pairs are the pairs of numbers of a record batch's field: nodes (1) or buffers (2).
func pairs(t flatbuffers.Table, field int) [][2]int64 {
	o := slot(t, field)
	if o == 0 {
		return nil
	}
	out := make([][2]int64, t.VectorLen(o))
	for i := range out {
		at := t.Vector(o) + flatbuffers.UOffsetT(16*i)
		out[i] = [2]int64{t.GetInt64(at), t.GetInt64(at + 8)}
	}
	return out
}

// pageHeader returns the length of a Parquet page's header and of the page.
func pageHeader(t testing.TB, data []byte) (header, page int) {
	t.Helper()
	buf := bytes.NewBuffer(bytes.Clone(data[:min(len(data), 4096)]))
	before := buf.Len()
	p := thrift.NewTCompactProtocolConf(&thrift.TMemoryBuffer{Buffer: buf}, nil)
	for {
		_, kind, id, err := p.ReadFieldBegin(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if kind == thrift.STOP {
			return before - buf.Len(), page
		}
		if id == 3 {
			v, err := p.ReadI32(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			page = int(v)
		} else if err := p.Skip(context.Background(), kind); err != nil {
			t.Fatal(err)
		}
	}
}
