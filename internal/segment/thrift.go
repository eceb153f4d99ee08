package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds on a footer's structure. Each struct becomes a Go value of up to some
// 200 bytes; so many come out of 64 MB in an ordinary file.
const maxThriftStructs = 2_000_000

var errThrift = errors.New("the part that describes the file is damaged; write the file again")

// thriftScan walks through a value in Thrift's compact protocol without
// building it: what it lets pass, Arrow can build without taking memory for
// sizes that are only claimed. Bytes after the value are none of its business.
type thriftScan struct {
	data    []byte
	pos     int
	structs int
	// onField is told of each integer or boolean field: the ids of the structs'
	// fields on the way to it, and its value.
	onField func(path []int16, value int64)
	// onStruct is told of the beginning of each struct.
	onStruct func(path []int16)
	path     []int16
}

// Types of Thrift's compact protocol.
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
	thriftUUID
)

// maxThriftDepth is how deep structs may be nested; Parquet's own nest about
// eight deep, and the library gives up at 64.
const maxThriftDepth = 32

func (s *thriftScan) uvarint() (uint64, error) {
	v, n := binary.Uvarint(s.data[s.pos:])
	if n <= 0 {
		return 0, errThrift
	}
	s.pos += n
	return v, nil
}

func (s *thriftScan) varint() (int64, error) {
	v, err := s.uvarint()
	return int64(v>>1) ^ -int64(v&1), err
}

func (s *thriftScan) byte() (byte, error) {
	if s.pos >= len(s.data) {
		return 0, errThrift
	}
	s.pos++
	return s.data[s.pos-1], nil
}

func (s *thriftScan) skip(n uint64) error {
	if n > uint64(len(s.data)-s.pos) {
		return errThrift
	}
	s.pos += int(n)
	return nil
}

// structure walks through one struct.
func (s *thriftScan) structure() error {
	if s.structs++; s.structs > maxThriftStructs {
		return fmt.Errorf("the file's description has more than %d parts; write it with fewer row groups or columns", maxThriftStructs)
	}
	if len(s.path) >= maxThriftDepth {
		return errThrift
	}
	if s.onStruct != nil {
		s.onStruct(s.path)
	}
	s.path = append(s.path, 0)
	defer func() { s.path = s.path[:len(s.path)-1] }()
	for {
		head, err := s.byte()
		if err != nil {
			return err
		}
		if head == 0 {
			return nil
		}
		id := &s.path[len(s.path)-1]
		if delta := int16(head >> 4); delta != 0 {
			*id += delta
		} else {
			v, err := s.varint()
			if err != nil {
				return err
			}
			*id = int16(v)
		}
		if err := s.value(head&0xf, false); err != nil {
			return err
		}
	}
}

// value walks through one value; within a list a boolean takes a byte.
func (s *thriftScan) value(kind byte, inList bool) error {
	switch kind {
	case thriftTrue, thriftFalse:
		if inList {
			return s.skip(1)
		}
		s.report(int64(thriftFalse - kind))
		return nil
	case thriftByte:
		return s.skip(1)
	case thriftI16, thriftI32, thriftI64:
		v, err := s.varint()
		if !inList {
			s.report(v)
		}
		return err
	case thriftDouble:
		return s.skip(8)
	case thriftUUID:
		return s.skip(16)
	case thriftBinary:
		n, err := s.uvarint()
		if err != nil {
			return err
		}
		return s.skip(n)
	case thriftList, thriftSet:
		return s.list()
	case thriftMap:
		return s.mapping()
	case thriftStruct:
		return s.structure()
	}
	return errThrift
}

func (s *thriftScan) report(v int64) {
	if s.onField != nil {
		s.onField(s.path, v)
	}
}

func (s *thriftScan) list() error {
	head, err := s.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = s.uvarint(); err != nil {
			return err
		}
	}
	return s.elements(n, head&0xf)
}

func (s *thriftScan) mapping() error {
	n, err := s.uvarint()
	if err != nil || n == 0 {
		return err
	}
	kinds, err := s.byte()
	if err != nil {
		return err
	}
	return s.elements(n, kinds>>4, kinds&0xf)
}

// elements walks through n elements of a list, or n pairs of a map. Each takes
// at least a byte, which bounds what can be claimed.
func (s *thriftScan) elements(n uint64, kinds ...byte) error {
	if n > uint64(len(s.data)-s.pos) {
		return errThrift
	}
	if len(s.path) >= maxThriftDepth {
		return errThrift
	}
	s.path = append(s.path, 0) // so that lists within lists have an end
	defer func() { s.path = s.path[:len(s.path)-1] }()
	for range n {
		for _, k := range kinds {
			if err := s.value(k, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFooter walks through a Parquet footer and checks that the schema in it,
// a tree written as a list, is whole and not nested too deep: Arrow follows it
// by recursion.
func checkFooter(footer []byte) error {
	// FileMetaData.schema (2) is a list of SchemaElement, whose num_children is
	// field 5 and is left out by a column.
	const schemaField, childrenField = 2, 5
	var children []int64
	s := thriftScan{data: footer}
	s.onStruct = func(path []int16) {
		if len(path) == 2 && path[0] == schemaField {
			children = append(children, 0)
		}
	}
	s.onField = func(path []int16, value int64) {
		if len(path) == 3 && path[0] == schemaField && path[2] == childrenField {
			children[len(children)-1] = value
		}
	}
	if err := s.structure(); err != nil {
		return err
	}
	// left holds, for each open group, the children still to come.
	var left []int64
	for i, n := range children {
		if i > 0 {
			if len(left) == 0 {
				return errThrift
			}
			left[len(left)-1]--
		}
		if n < 0 || n > int64(len(children)) {
			return errThrift
		}
		if n > 0 {
			left = append(left, n)
		}
		for len(left) > 0 && left[len(left)-1] == 0 {
			left = left[:len(left)-1]
		}
		// The root is a level of its own, and a list takes two.
		if len(left) > 2*maxNesting+1 {
			return fmt.Errorf("its columns are nested more than %d levels deep; flatten them", maxNesting)
		}
	}
	if len(left) != 0 || len(children) == 0 {
		return errThrift
	}
	return nil
}
