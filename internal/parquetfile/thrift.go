package parquetfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/apache/thrift/lib/go/thrift"
)

// compact reads structs in Thrift's compact protocol. Arrow's own structs of
// parquet.thrift are internal to it, and building them panics on logical types
// that are newer than Arrow v15, so that one such column spoils the file; those of
// parquet-go take memory for as many elements as a list claims.
type compact struct {
	*thrift.TCompactProtocol
	buf   *bytes.Buffer
	parts int // structs of lists that were read
}

// maxParts bounds the column chunks and the columns of a file: each becomes a
// struct of up to 100 bytes, from one byte of the footer.
const maxParts = 2_000_000

// background is what the library's readers want and don't use.
var background = context.Background()

// unmarshal reads a struct from the start of data into the one that v points to, and
// returns its length. Fields that the Go struct does not have are passed over, as are
// those of another type.
func unmarshal(data []byte, v any) (length int, err error) {
	c := &compact{buf: bytes.NewBuffer(data)}
	c.TCompactProtocol = thrift.NewTCompactProtocolConf(&thrift.TMemoryBuffer{Buffer: c.buf}, nil)
	err = c.structInto(reflect.ValueOf(v).Elem())
	var e thrift.TProtocolException
	if errors.As(err, &e) || err != nil && err.Error() == "EOF" {
		err = errThrift
	}
	return len(data) - c.buf.Len(), err
}

// fields calls read for each field of a struct. Those that read does not know are
// passed over.
func (c *compact) fields(read func(id int16, kind thrift.TType) (known bool, err error)) error {
	if _, err := c.ReadStructBegin(background); err != nil {
		return err
	}
	for {
		_, kind, id, err := c.ReadFieldBegin(background)
		if err != nil {
			return err
		}
		if kind == thrift.STOP {
			return c.ReadStructEnd(background)
		}
		known, err := read(id, kind)
		if err == nil && !known {
			err = c.Skip(background, kind)
		}
		if err != nil {
			return err
		}
	}
}

// union is which member of a union is set, and the first two fields of that member
// where they are numbers; one that is a union itself counts as its member's number.
type union struct {
	member int16 // 0 where none is set
	args   [2]int64
}

func (c *compact) union(u *union) error {
	return c.fields(func(member int16, kind thrift.TType) (bool, error) {
		if u.member = member; kind != thrift.STRUCT {
			return false, nil
		}
		return true, c.fields(func(id int16, kind thrift.TType) (bool, error) {
			if id < 1 || int(id) > len(u.args) {
				return false, nil
			}
			arg := &u.args[id-1]
			if kind == thrift.STRUCT {
				return true, c.fields(func(member int16, _ thrift.TType) (bool, error) { *arg = int64(member); return false, nil })
			}
			var err error
			*arg, err = c.number(kind)
			return isNumber(kind), err
		})
	})
}

func isNumber(kind thrift.TType) bool {
	switch kind {
	case thrift.BOOL, thrift.BYTE, thrift.I16, thrift.I32, thrift.I64:
		return true
	}
	return false
}

// number reads an integer or a boolean.
func (c *compact) number(kind thrift.TType) (int64, error) {
	switch kind {
	case thrift.BOOL:
		b, err := c.ReadBool(background)
		if b {
			return 1, err
		}
		return 0, err
	case thrift.BYTE:
		b, err := c.ReadByte(background)
		return int64(b), err
	case thrift.I16, thrift.I32, thrift.I64:
		return c.ReadI64(background)
	}
	return 0, nil
}

// numbered are the fields of the structs above by their numbers.
var numbered = map[reflect.Type]map[int16]int{}

func init() {
	for _, s := range []any{footer{}, element{}, rowGroup{}, chunk{}, chunkMeta{}, remark{}, pageHeader{}, pageHeaderV1{}, pageHeaderV2{}} {
		t := reflect.TypeOf(s)
		numbered[t] = map[int16]int{}
		for i := range t.NumField() {
			id, err := strconv.Atoi(t.Field(i).Tag.Get("thrift"))
			if err != nil {
				panic(err)
			}
			numbered[t][int16(id)] = i
		}
	}
}

func (c *compact) structInto(v reflect.Value) error {
	if u, ok := v.Addr().Interface().(*union); ok {
		return c.union(u)
	}
	ids := numbered[v.Type()]
	return c.fields(func(id int16, kind thrift.TType) (bool, error) {
		i, ok := ids[id]
		if !ok {
			return false, nil
		}
		return c.into(v.Field(i), kind)
	})
}

// into reads a value of a kind into v, if it goes there.
func (c *compact) into(v reflect.Value, kind thrift.TType) (known bool, err error) {
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		if known, err = c.into(p.Elem(), kind); known {
			v.Set(p)
		}
		return known, err
	}
	switch {
	case v.Kind() == reflect.Struct && kind == thrift.STRUCT:
		return true, c.structInto(v)
	case v.Kind() == reflect.Slice && (kind == thrift.LIST || kind == thrift.SET):
		kind, n, err := c.ReadListBegin(background)
		if err == nil && n > 0 && kind != thrift.STRUCT {
			err = errThrift
		}
		for i := 0; i < n && err == nil; i++ {
			if c.parts++; c.parts > maxParts {
				return true, fmt.Errorf("the file's description has more than %d parts; write it with fewer row groups or columns", maxParts)
			}
			v.Grow(1)
			v.SetLen(v.Len() + 1)
			err = c.structInto(v.Index(v.Len() - 1))
		}
		return true, err
	case v.Kind() == reflect.String && kind == thrift.STRING:
		s, err := c.ReadString(background)
		v.SetString(s)
		return true, err
	case v.Kind() == reflect.Bool && kind == thrift.BOOL:
		b, err := c.ReadBool(background)
		v.SetBool(b)
		return true, err
	case v.CanInt() && isNumber(kind):
		n, err := c.number(kind)
		if err == nil && v.OverflowInt(n) {
			err = errThrift
		}
		v.SetInt(n)
		return true, err
	}
	return false, nil
}
