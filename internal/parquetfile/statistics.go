package parquetfile

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"

	"iterable-segment-export/internal/columnar"
)

// statisticsFooter is the footer with nothing but statistics. They are read only for a
// segment with a condition, since a footer can have two million of them.
type statisticsFooter struct {
	Groups []struct {
		Chunks []struct {
			Meta *struct {
				Statistics *statistics `thrift:"12"`
			} `thrift:"3"`
		} `thrift:"1"`
	} `thrift:"4"`
	// Orders says, by leaf, in which order Min and Max are the first and the last value.
	// parquet.thrift has readers ignore both where it is not known.
	Orders []struct {
		Type *struct{} `thrift:"1"` // that of the column's type
	} `thrift:"7"`
}

// statistics is a Statistics, without the deprecated bounds, whose order depends on the writer.
type statistics struct {
	Nulls *int64 `thrift:"3"`
	Max   []byte `thrift:"5"`
	Min   []byte `thrift:"6"`
}

// Groups implements columnar.Bounded.
func (f *File) Groups() int { return len(f.groups) }

// Bounds implements columnar.Bounded.
func (f *File) Bounds(group int, path []int) columnar.Bounds {
	b := columnar.Unbounded
	b.Rows = f.groups[group].Rows
	if path == nil { // a column that does not lie in the file
		return b
	}
	n := f.at(path)
	if f.statistics == nil || !n.isLeaf() || n.descr == nil || n.descr.MaxRepetitionLevel() > 0 ||
		group >= len(f.statistics.Groups) || n.chunk >= len(f.statistics.Groups[group].Chunks) {
		return b
	}
	meta := f.statistics.Groups[group].Chunks[n.chunk].Meta
	if meta == nil || meta.Statistics == nil {
		return b
	}
	if nulls := meta.Statistics.Nulls; nulls != nil && *nulls >= 0 && *nulls <= b.Rows {
		b.Nulls = *nulls
	}
	// Arrow for Go orders unsigned numbers as if they were signed.
	if orders := f.statistics.Orders; n.chunk < len(orders) && orders[n.chunk].Type != nil && !arrow.IsUnsignedInteger(n.dt.ID()) {
		b.Range = n.values(meta.Statistics.Min, meta.Statistics.Max)
	}
	return b
}

// values makes an array of bounds, in the way of a page's values. It returns nil for what is
// not there or can't be read.
func (n *node) values(bounds ...[]byte) (arr arrow.Array) {
	var err error
	defer func() {
		if recover() != nil || err != nil {
			arr = nil
		}
	}()
	dt, size := n.dt, 0
	switch n.descr.PhysicalType() {
	case parquet.Types.Boolean:
		size = 1
	case parquet.Types.Int32, parquet.Types.Float:
		size = 4
	case parquet.Types.Int64, parquet.Types.Double:
		size = 8
	case parquet.Types.FixedLenByteArray:
		size = n.descr.TypeLength()
		if n.convert != nil {
			dt = &arrow.FixedSizeBinaryType{ByteWidth: size}
		}
	case parquet.Types.ByteArray:
		if n.convert != nil {
			dt = arrow.BinaryTypes.Binary
		}
	default: // INT96 has no order
		return nil
	}
	var joined []byte
	ends := []int32{0}
	for _, b := range bounds {
		if b == nil || size > 0 && len(b) != size {
			return nil
		}
		joined = append(joined, b...)
		ends = append(ends, int32(len(joined)))
	}
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(joined)}
	switch {
	case size == 0:
		buffers = []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(ends)), buffers[1]}
	case n.convert != nil && n.descr.PhysicalType() != parquet.Types.FixedLenByteArray:
		dt = arrow.PrimitiveTypes.Int64 // the converter knows better
	}
	var data arrow.ArrayData = array.NewData(dt, len(bounds), buffers, nil, 0, 0)
	if n.convert != nil {
		data, err = n.convert(n.dt, data, columnar.NewBudget(columnar.MaxBatchMemory))
	}
	if err != nil {
		return nil
	}
	return array.MakeFromData(data)
}
