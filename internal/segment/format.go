package segment

import (
	"bytes"
	"errors"
	"fmt"

	"iterable-segment-export/internal/arrowfile"
	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/parquetfile"
)

// openFormat recognizes a file's format by its content, and reads its metadata, with the bounds
// of its values if bounded is set.
func openFormat(src *columnar.Source, bounded bool) (f columnar.File, err error) {
	defer columnar.Guard(&err)
	size := src.Size()
	if size == 0 {
		return nil, errors.New("the file is empty (0 bytes); delete it, or write it again")
	}
	head := make([]byte, min(size, 8))
	if err := src.ReadFull(head, 0); err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PARE")):
		return nil, parquetfile.ErrEncrypted
	case bytes.HasPrefix(head, []byte("PAR1")):
		return parquetfile.Open(src, bounded)
	case arrowfile.Is(head):
		return arrowfile.Open(src, head)
	case bytes.HasPrefix(head, []byte("FEA1")):
		return nil, errors.New("the file has Feather version 1, which Arrow no longer reads; write it again as Feather version 2 or Parquet")
	}
	starts := ""
	if known := columnar.Signature(head); known != "" {
		starts = fmt.Sprintf(" (it starts with %q)", known)
	}
	return nil, fmt.Errorf("not a Parquet or Arrow file%s; others, such as CSV, are not read: convert it, remove it from the folder, or rename it to begin with _", starts)
}
