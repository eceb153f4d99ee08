package delta

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/google/uuid"

	"iterable-segment-export/internal/columnar"
)

// vector is a deletion vector: the rows of a file that are deleted.
type vector struct {
	StorageType    string
	PathOrInlineDv string
	Offset         *int64
	SizeInBytes    int64
	Cardinality    int64
}

// noRows is the vector that Delta's writer logs for a bitmap without rows
// (DeletionVectorDescriptor.EMPTY).
var noRows = vector{StorageType: "i"}

// id identifies a vector among those of a file.
func (v *vector) id() string {
	if v == nil {
		return ""
	}
	at := int64(0)
	if v.Offset != nil {
		at = *v.Offset
	}
	return fmt.Sprintf("%s%s@%d", v.StorageType, v.PathOrInlineDv, at)
}

// maxVector is the maximum size of a deletion vector in bytes, that of 2^27 rows deleted at
// random. Delta's own limit is an int32.
const maxVector = 128 << 20

// maxBitmaps is the maximum number of bitmaps in a deletion vector.
const maxBitmaps = 1 << 10

var errVector = errors.New("a deletion vector of the Delta table is damaged; restore it, or rewrite the table's files (REORG TABLE … APPLY (PURGE))")

// Deleted returns the number of deleted rows of the file.
func (f *File) Deleted() int64 {
	if f.vector == nil {
		return 0
	}
	return f.vector.Cardinality
}

// Version returns a text that changes with the file's deleted rows and the values of its
// partitions.
func (f *File) Version() string {
	data, err := json.Marshal(f.Partition)
	if err != nil {
		panic(err) // a map of strings can always be encoded
	}
	return f.vector.id() + string(data)
}

// Rows returns the numbers of the deleted rows. total is how many rows the file has.
func (f *File) Rows(ctx context.Context, total int64) (rows *roaring64.Bitmap, err error) {
	v := f.vector
	if v == nil || *v == noRows {
		return nil, nil
	}
	if v.SizeInBytes <= 0 || v.SizeInBytes > maxVector {
		return nil, errVector
	}
	defer columnar.Guard(&err)
	data, err := v.load(&folder{ctx: ctx, objects: f.objects})
	if err != nil {
		return nil, err
	}
	const magic = 1681511377
	const head, least = 4 + 8, 4 + 8 // bytes before the bitmaps, and of each
	if len(data) < head || binary.LittleEndian.Uint32(data) != magic {
		return nil, errVector
	}
	// The library makes room for as many bitmaps as the vector claims. Each has 2^32 rows.
	if n := binary.LittleEndian.Uint64(data[4:]); n > maxBitmaps || n > uint64(len(data)-head)/least {
		return nil, errVector
	}
	rows = roaring64.New()
	if err := rows.UnmarshalBinary(data[4:]); err != nil {
		return nil, errVector
	}
	if rows.GetCardinality() != uint64(v.Cardinality) || !rows.IsEmpty() && rows.Maximum() >= uint64(total) {
		return nil, errVector
	}
	return rows, nil
}

// load reads the vector's bytes.
func (v *vector) load(in *folder) ([]byte, error) {
	var name string
	switch v.StorageType {
	case "i":
		data, err := z85(v.PathOrInlineDv)
		if err != nil || int64(len(data)) < v.SizeInBytes {
			return nil, errVector
		}
		return data[:v.SizeInBytes], nil
	case "u":
		var err error
		if name, err = vectorName(v.PathOrInlineDv); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("a deletion vector of the Delta table is outside of its folder, as in a shallow clone; make a deep clone, and name that")
	}
	file, err := in.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	at := int64(1) // after the version of the format
	if v.Offset != nil {
		at = *v.Offset
	}
	if at < 0 || at > file.Size() || v.SizeInBytes+8 > file.Size()-at {
		return nil, errVector
	}
	data := make([]byte, v.SizeInBytes+8) // its size, and a checksum
	if n, err := file.ReadAt(data, at); n < len(data) {
		return nil, err
	}
	size, sum := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[len(data)-4:])
	data = data[4 : len(data)-4]
	if int64(size) != v.SizeInBytes || crc32.ChecksumIEEE(data) != sum {
		return nil, errVector
	}
	return data, nil
}

// vectorName returns the name of a file of vectors, encoded as an optional prefix and a
// UUID.
func vectorName(path string) (string, error) {
	const encoded = 20
	if len(path) < encoded {
		return "", errVector
	}
	prefix := path[:len(path)-encoded]
	raw, err := z85(path[len(path)-encoded:])
	if err != nil {
		return "", err
	}
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return "", errVector
	}
	name := "deletion_vector_" + id.String() + ".bin"
	if prefix != "" {
		name = prefix + "/" + name
	}
	if !isBelow(name) {
		return "", errVector
	}
	return name, nil
}

// z85 decodes ZeroMQ's variant of base 85 (rfc.zeromq.org/spec/32), which has another
// alphabet than encoding/ascii85.
func z85(text string) ([]byte, error) {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
	if len(text)%5 != 0 {
		return nil, errVector
	}
	out := make([]byte, 0, len(text)/5*4)
	for i := 0; i < len(text); i += 5 {
		var v uint64
		for _, c := range text[i : i+5] {
			d := strings.IndexRune(digits, c)
			if d < 0 {
				return nil, errVector
			}
			v = v*85 + uint64(d)
		}
		if v > math.MaxUint32 {
			return nil, errVector
		}
		out = binary.BigEndian.AppendUint32(out, uint32(v))
	}
	return out, nil
}
