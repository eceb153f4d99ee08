package parquetfile

import (
	"errors"

	"github.com/parquet-go/parquet-go/format"

	"iterable-segment-export/internal/columnar"
)

const (
	magic          = "PAR1"
	magicEncrypted = "PARE"
)

var (
	errThrift = errors.New("the file's metadata are damaged; write the file again")
	// ErrEncrypted is the error of a file with Parquet encryption.
	ErrEncrypted = errors.New("the file is encrypted, which this program can't read; write it without Parquet encryption, into an encrypted bucket or disk")
)

// The following are the needed fields of the structs of parquet.thrift.

type footer struct {
	Schema   []element  `thrift:"2"`
	Rows     int64      `thrift:"3"`
	Groups   []rowGroup `thrift:"4"`
	KeyValue []keyValue `thrift:"5"`
}

// element is a SchemaElement.
type element struct {
	Physical   *int32             `thrift:"1"` // nil for a group
	Length     int32              `thrift:"2"`
	Repetition int32              `thrift:"3"`
	Name       string             `thrift:"4"`
	Children   int32              `thrift:"5"`
	Converted  *int32             `thrift:"6"`
	Scale      int32              `thrift:"7"`
	Precision  int32              `thrift:"8"`
	ID         *int32             `thrift:"9"`
	Logical    format.LogicalType `thrift:"10"`
}

type rowGroup struct {
	Chunks []chunk `thrift:"1"`
	Rows   int64   `thrift:"3"`
}

// chunk is a ColumnChunk: a column in a row group.
type chunk struct {
	Path   string     `thrift:"1"` // of another file
	Meta   *chunkMeta `thrift:"3"`
	Crypto *struct{}  `thrift:"8"` // set if the column is encrypted
}

type chunkMeta struct {
	Codec        int32 `thrift:"4"`
	Values       int64 `thrift:"5"`
	Uncompressed int64 `thrift:"6"`
	Compressed   int64 `thrift:"7"`
	Data         int64 `thrift:"9"` // offset
	Dictionary   int64 `thrift:"11"`
}

type keyValue struct {
	Key   string `thrift:"1"`
	Value string `thrift:"2"`
}

// Keys of the footer's metadata that change the meaning of values.
const (
	keyArrow      = "ARROW:schema"
	keySpark      = "org.apache.spark.version"
	keySparkTypes = "org.apache.spark.sql.parquet.row.metadata"
	keyLegacy     = "org.apache.spark.legacyDateTime"
	keyLegacy96   = "org.apache.spark.legacyINT96"
	keyHive       = "writer.date.proleptic"
)

// pageHeader is a PageHeader. The headers of data pages of version 1 and of dictionary
// pages begin with the same fields.
type pageHeader struct {
	Kind         int32        `thrift:"1"`
	Uncompressed int32        `thrift:"2"`
	Compressed   int32        `thrift:"3"`
	CRC          *int32       `thrift:"4"`
	V1           pageHeaderV1 `thrift:"5"`
	Dictionary   pageHeaderV1 `thrift:"7"`
	V2           pageHeaderV2 `thrift:"8"`
}

type pageHeaderV1 struct {
	Values      int32 `thrift:"1"`
	Encoding    int32 `thrift:"2"`
	DefEncoding int32 `thrift:"3"`
	RepEncoding int32 `thrift:"4"`
}

type pageHeaderV2 struct {
	Values     int32 `thrift:"1"`
	Nulls      int32 `thrift:"2"`
	Rows       int32 `thrift:"3"`
	Encoding   int32 `thrift:"4"`
	DefLevels  int32 `thrift:"5"` // bytes
	RepLevels  int32 `thrift:"6"` // bytes
	Compressed *bool `thrift:"7"` // true if it is not set
}

// readFooter returns the footer at the end of a file, and its offset.
func readFooter(src *columnar.Source) (data []byte, body int64, err error) {
	data, body, err = src.Footer("Parquet", magic)
	var end [len(magicEncrypted)]byte
	if err != nil && src.ReadFull(end[:], src.Size()-int64(len(end))) == nil && string(end[:]) == magicEncrypted {
		err = ErrEncrypted
	}
	return data, body, err
}
