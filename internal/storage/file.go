package storage

import (
	"fmt"
	"io/fs"
	"os"
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
