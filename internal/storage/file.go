package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"gocloud.dev/blob"
)

// localFile reads from the disk with no buffer in between.
type localFile struct {
	*os.File
	size int64
}

func (f *localFile) Size() int64 { return f.size }

// openLocal opens a regular file. Anything else (a pipe, a device) could block
// for ever or never end.
func openLocal(path string) (*localFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(path, info)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &localFile{File: f, size: info.Size()}, nil
}

func notRegular(path string, info fs.FileInfo) error {
	kind := "a special file"
	if info.IsDir() {
		kind = "a folder"
	}
	return fmt.Errorf("%s is %s, not a regular file", path, kind)
}

// bucketFile reads ranges of an object. A read after the object was replaced is
// an error, never a mixture of two objects.
type bucketFile struct {
	ctx     context.Context
	bucket  *blob.Bucket
	key     string
	size    int64
	modTime time.Time
}

func (f *bucketFile) Size() int64  { return f.size }
func (f *bucketFile) Close() error { return nil }

func (f *bucketFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	if off >= f.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > f.size-off
	if short {
		p = p[:f.size-off]
	}
	r, err := f.bucket.NewRangeReader(f.ctx, f.key, off, int64(len(p)), nil)
	if err != nil {
		return 0, keyError("read", f.key, err)
	}
	defer r.Close()
	if r.Size() != f.size || !r.ModTime().Equal(f.modTime) {
		return 0, errChanged(f.key, "it was replaced")
	}
	n, err := io.ReadFull(r, p)
	switch {
	case err != nil:
		return n, keyError("read", f.key, err)
	case short:
		return n, io.EOF
	}
	return n, nil
}
