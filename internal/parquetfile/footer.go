package parquetfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/thrift/lib/go/thrift"

	"iterable-segment-export/internal/columnar"
)

var (
	magic          = []byte("PAR1")
	magicEncrypted = []byte("PARE")
)

var (
	errTruncated = errors.New("the file begins as Parquet and does not end as Parquet: it is cut off, or still being written; wait until it is complete, or write it again")
	errThrift    = errors.New("the part that describes the file is damaged; write the file again")
	// ErrEncrypted is the error of a file that only a key would open.
	ErrEncrypted = errors.New("the file is encrypted, which this program can't read; write it without Parquet encryption, into a place that is encrypted as a whole")
)

// compact reads structs in Thrift's compact protocol. Arrow's own structs of
// parquet.thrift are internal to it, and building them panics on logical types
// that are newer than Arrow v15, so that one such column spoils the file.
type compact struct {
	*thrift.TCompactProtocol
	buf  *bytes.Buffer
	kind thrift.TType // of the field that is being read
	err  error
}

func newCompact(data []byte) *compact {
	c := &compact{buf: bytes.NewBuffer(data)}
	c.TCompactProtocol = thrift.NewTCompactProtocolConf(&thrift.TMemoryBuffer{Buffer: c.buf}, nil)
	return c
}

// background is what the library's readers want and don't use.
var background = context.Background()

// fields calls read with the number of each field of a struct. A field that
// read does not take is skipped.
func (c *compact) fields(read func(id int16) (known bool)) {
	_, c.err = c.ReadStructBegin(background)
	for c.err == nil {
		_, kind, id, err := c.ReadFieldBegin(background)
		if err != nil || kind == thrift.STOP {
			c.err = err
			break
		}
		c.kind = kind
		if !read(id) && c.err == nil {
			c.err = c.Skip(background, kind)
		}
	}
	if c.err == nil {
		c.err = c.ReadStructEnd(background)
	}
}

// list calls read for each element of a list of structs.
func (c *compact) list(read func()) bool {
	if c.kind != thrift.LIST && c.kind != thrift.SET {
		return false
	}
	kind, n, err := c.ReadListBegin(background)
	if c.err = err; err == nil && n > 0 && kind != thrift.STRUCT {
		c.err = errThrift
	}
	for i := 0; i < n && c.err == nil; i++ {
		read()
	}
	return true
}

// number reads an integer or a boolean into dst.
func number[T ~int8 | ~int16 | ~int32 | ~int64](c *compact, dst *T) bool {
	var v int64
	var err error
	switch c.kind {
	case thrift.BOOL:
		var b bool
		if b, err = c.ReadBool(background); b {
			v = 1
		}
	case thrift.BYTE:
		var b int8
		b, err = c.ReadByte(background)
		v = int64(b)
	case thrift.I16, thrift.I32, thrift.I64:
		v, err = c.ReadI64(background)
	default:
		return false
	}
	if *dst = T(v); err == nil && int64(*dst) != v {
		err = errThrift
	}
	c.err = err
	return true
}

func (c *compact) text(dst *string) bool {
	if c.kind != thrift.STRING {
		return false
	}
	*dst, c.err = c.ReadString(background)
	return true
}

// union reads a union, and reports which of its members is set.
func (c *compact) union(read func(member int16)) bool {
	if c.kind != thrift.STRUCT {
		return false
	}
	c.fields(func(id int16) bool {
		if c.kind != thrift.STRUCT {
			return false
		}
		read(id)
		return true
	})
	return true
}

// skipStruct passes over the struct that is being read.
func (c *compact) skipStruct() { c.fields(func(int16) bool { return false }) }

// Physical types, as parquet.thrift numbers them.
const group = -1

// element is parquet.thrift's SchemaElement.
type element struct {
	name       string
	physical   int32 // group for a group
	length     int32
	repetition int32 // 0 required, 1 optional, 2 repeated
	children   int32
	converted  int32 // -1 where not set
	scale      int32
	precision  int32
	id         int32
	logical    logical
}

// logical is a LogicalType.
type logical struct {
	member int16 // of the union; 0 where not set
	unit   int16 // 1 milliseconds, 2 microseconds, 3 nanoseconds
	utc    int8
	bits   int8
	signed int8
}

// chunk is what the footer says of a column in a row group.
type chunk struct {
	meta, elsewhere, encrypted       bool
	codec                            int32
	values, compressed, uncompressed int64
	data, dictionary                 int64 // offsets
}

type rowGroup struct {
	rows   int64
	chunks []chunk
}

// footer is parquet.thrift's FileMetaData.
type footer struct {
	schema    []element
	rows      int64
	groups    []rowGroup
	remarks   map[string]string // those of remarksRead
	createdBy string
}

// maxParts bounds the column chunks and the columns of a file: each becomes a
// struct of up to 100 bytes, from one byte of the footer.
const maxParts = 2_000_000

func parseFooter(data []byte) (*footer, error) {
	f := &footer{remarks: map[string]string{}}
	c := newCompact(data)
	parts := 0
	part := func() bool {
		if parts++; parts > maxParts && c.err == nil {
			c.err = fmt.Errorf("the file's description has more than %d parts; write it with fewer row groups or columns", maxParts)
		}
		return c.err == nil
	}
	c.fields(func(id int16) bool {
		switch id {
		case 2:
			return c.list(func() {
				if part() {
					f.schema = append(f.schema, c.element())
				}
			})
		case 3:
			return number(c, &f.rows)
		case 4:
			return c.list(func() {
				if part() {
					f.groups = append(f.groups, c.rowGroup(part))
				}
			})
		case 5:
			return c.list(func() { c.remark(f.remarks) })
		case 6:
			return c.text(&f.createdBy)
		}
		return false
	})
	var e thrift.TProtocolException
	if errors.As(c.err, &e) || c.err != nil && c.err.Error() == "EOF" {
		return nil, errThrift
	}
	return f, c.err
}

func (c *compact) element() element {
	e := element{physical: group, converted: -1, id: -1}
	c.fields(func(id int16) bool {
		switch id {
		case 1:
			return number(c, &e.physical)
		case 2:
			return number(c, &e.length)
		case 3:
			return number(c, &e.repetition)
		case 4:
			return c.text(&e.name)
		case 5:
			return number(c, &e.children)
		case 6:
			return number(c, &e.converted)
		case 7:
			return number(c, &e.scale)
		case 8:
			return number(c, &e.precision)
		case 9:
			return number(c, &e.id)
		case 10:
			return c.union(func(member int16) { e.logical = c.logical(member, &e) })
		}
		return false
	})
	return e
}

// logical reads a member of LogicalType. The fields of those that have some are
// numbered alike: DECIMAL has scale and precision, TIME and TIMESTAMP whether
// they are in UTC and their unit, INTEGER its width and whether it is signed.
func (c *compact) logical(member int16, e *element) logical {
	l := logical{member: member}
	c.fields(func(id int16) bool {
		switch {
		case member == logicalDecimal && id == 1:
			return number(c, &e.scale)
		case member == logicalDecimal && id == 2:
			return number(c, &e.precision)
		case (member == logicalTime || member == logicalTimestamp) && id == 1:
			return number(c, &l.utc)
		case (member == logicalTime || member == logicalTimestamp) && id == 2:
			return c.union(func(unit int16) { l.unit = unit; c.skipStruct() })
		case member == logicalInteger && id == 1:
			return number(c, &l.bits)
		case member == logicalInteger && id == 2:
			return number(c, &l.signed)
		}
		return false
	})
	return l
}

func (c *compact) rowGroup(part func() bool) rowGroup {
	var g rowGroup
	c.fields(func(id int16) bool {
		switch id {
		case 1:
			return c.list(func() {
				if part() {
					g.chunks = append(g.chunks, c.chunk())
				}
			})
		case 3:
			return number(c, &g.rows)
		}
		return false
	})
	return g
}

func (c *compact) chunk() chunk {
	var out chunk
	c.fields(func(id int16) bool {
		switch {
		case id == 1:
			var path string
			known := c.text(&path)
			out.elsewhere = path != ""
			return known
		case id == 3 && c.kind == thrift.STRUCT:
			out.meta = true
			c.chunkMeta(&out)
			return true
		case id == 8:
			out.encrypted = true
		}
		return false
	})
	return out
}

func (c *compact) chunkMeta(out *chunk) {
	c.fields(func(id int16) bool {
		switch id {
		case 4:
			return number(c, &out.codec)
		case 5:
			return number(c, &out.values)
		case 6:
			return number(c, &out.uncompressed)
		case 7:
			return number(c, &out.compressed)
		case 9:
			return number(c, &out.data)
		case 11:
			return number(c, &out.dictionary)
		}
		return false
	})
}

// Remarks that writers put into the footer and that change what values mean.
const (
	remarkArrow      = "ARROW:schema"
	remarkSpark      = "org.apache.spark.version"
	remarkSparkTypes = "org.apache.spark.sql.parquet.row.metadata"
	remarkLegacy     = "org.apache.spark.legacyDateTime"
	remarkLegacy96   = "org.apache.spark.legacyINT96"
	remarkHive       = "writer.date.proleptic"
)

func (c *compact) remark(into map[string]string) {
	var key, value string
	c.fields(func(id int16) bool {
		switch id {
		case 1:
			return c.text(&key)
		case 2:
			return c.text(&value)
		}
		return false
	})
	switch key {
	case remarkArrow, remarkSpark, remarkSparkTypes, remarkLegacy, remarkLegacy96, remarkHive:
		into[key] = value
	}
}

// readFooter reads the footer at the end of a file, and finds where it begins.
func readFooter(src *columnar.Source) (data []byte, body int64, err error) {
	const tailLen = 8 // the footer's length and "PAR1"
	size := src.Size()
	if size < int64(len(magic))+tailLen {
		return nil, 0, errTruncated
	}
	var tail [tailLen]byte
	if err := src.ReadFull(tail[:], size-tailLen); err != nil {
		return nil, 0, err
	}
	if bytes.Equal(tail[4:], magicEncrypted) {
		return nil, 0, ErrEncrypted
	}
	if !bytes.Equal(tail[4:], magic) {
		return nil, 0, errTruncated
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	body = size - tailLen - length
	switch {
	case length == 0 || body < int64(len(magic)):
		return nil, 0, fmt.Errorf("the file is damaged: its footer claims %d bytes, and the file has %d; write it again", length, size)
	case length > columnar.MaxFooter:
		return nil, 0, fmt.Errorf("its footer takes %d MB, more than this program reads; write the file with fewer row groups or columns", length>>20)
	}
	data = make([]byte, length)
	return data, body, src.ReadFull(data, body)
}
