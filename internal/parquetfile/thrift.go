package parquetfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/apache/thrift/lib/go/thrift"
	decoding "github.com/parquet-go/parquet-go/encoding/thrift"
)

// unmarshal reads a struct in Thrift's compact protocol from the start of data into the
// one that v points to, and returns its length. It skips fields that the Go struct lacks
// or that have another type. Texts share the memory of data.
//
// Apache's library first skips over the struct, with bounds on its depth and lists. Then
// parquet-go's library reads it; alone, it would allocate memory for as many elements as a
// list claims. Arrow's structs of parquet.thrift are internal, and its schema panics on
// newer logical types, so one such column would make the file unreadable.
func unmarshal(data []byte, v any) (length int, err error) {
	buf := bytes.NewBuffer(data)
	b := &bounded{TCompactProtocol: thrift.NewTCompactProtocolConf(&thrift.TMemoryBuffer{Buffer: buf}, nil)}
	err = thrift.Skip(context.Background(), b, thrift.STRUCT, thrift.DEFAULT_RECURSION_DEPTH)
	switch length = len(data) - buf.Len(); {
	case errors.Is(err, errParts):
		return length, err
	case err != nil:
		return length, errThrift
	}
	r := new(decoding.CompactProtocol).NewReaderFromBytes(data[:length])
	if decoding.NewDecoder(r).Decode(v) != nil {
		err = errThrift
	}
	return length, err
}

// maxParts bounds the column chunks and columns of a file. One byte of the footer can
// become a struct of up to 100 bytes.
const maxParts = 2_000_000

var errParts = fmt.Errorf("the file's metadata have more than %d parts; write it with fewer row groups or columns", maxParts)

// bounded counts the structs in a footer and its row groups, except those in a column
// chunk.
type bounded struct {
	*thrift.TCompactProtocol
	depth, parts int
}

func (b *bounded) ReadStructBegin(ctx context.Context) (string, error) {
	if b.depth++; b.depth <= 3 {
		b.parts++
	}
	if b.parts > maxParts {
		return "", errParts
	}
	return b.TCompactProtocol.ReadStructBegin(ctx)
}

func (b *bounded) ReadStructEnd(ctx context.Context) error {
	b.depth--
	return b.TCompactProtocol.ReadStructEnd(ctx)
}
