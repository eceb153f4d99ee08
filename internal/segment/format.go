package segment

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	magicParquet   = []byte("PAR1")
	magicEncrypted = []byte("PARE")
	magicArrow     = []byte("ARROW1")
)

// maxFooter bounds, in bytes, the part of a file that describes it. 10,000
// columns in a hundred row groups stay below.
const maxFooter = 64 << 20

// maxNesting bounds how deep columns may be nested; Arrow's own limit for IPC
// is 64.
const maxNesting = 64

// checkCount refuses counts of rows that can't be true. Rows of nothing but null
// take no bytes, so that a small file could keep a worker busy for years; the
// bound, a thousand rows a byte, is far beyond what files with addresses have.
func checkCount(rows, size int64) error {
	const least, perByte = 1_000_000, 1000
	if rows < 0 || rows > least && (rows-least)/perByte > size {
		return fmt.Errorf("the file is damaged: it claims %d rows in %d bytes; write it again", rows, size)
	}
	return nil
}

// openFormat tells the kinds of files apart by their content and reads what
// describes the file.
func openFormat(src *source) (f format, err error) {
	defer guard(&err)
	size := src.Size()
	if size == 0 {
		return nil, errors.New("the file is empty (0 bytes), so not even its columns are known; delete it, or write it again")
	}
	head := make([]byte, min(size, 8))
	if err := src.readFull(head, 0); err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, magicEncrypted):
		return nil, errEncrypted
	case bytes.HasPrefix(head, magicParquet):
		return openParquet(src)
	case bytes.HasPrefix(head, magicArrow):
		return openIPCFile(src)
	case size >= 8 && looksLikeStream(head):
		return openIPCStream(src)
	case bytes.HasPrefix(head, []byte("FEA1")):
		return nil, errors.New("this is Feather version 1, which Arrow no longer reads; write it again as Feather version 2 or Parquet")
	}
	return nil, fmt.Errorf("this is neither Parquet nor Arrow (it starts with %q); a segment holds nothing else: take other files out of the folder, or let their names begin with _", printable(head))
}

// printable shows a file's first bytes only where they are a signature and not
// the beginning of somebody's data.
func printable(head []byte) string {
	for _, known := range []string{"PK", "\x1f\x8b", "Obj\x01", "ORC", "\x28\xb5\x2f\xfd", "SQLite", "%PDF"} {
		if bytes.HasPrefix(head, []byte(known)) {
			return known
		}
	}
	return "other bytes"
}

var errEncrypted = errors.New("the file is encrypted, which this program can't read; write it without Parquet encryption, into a place that is encrypted as a whole")
