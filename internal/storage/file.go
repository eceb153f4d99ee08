package storage

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// localFile is an open regular file.
type localFile struct {
	*os.File
	size    int64
	modTime time.Time
}

func (f *localFile) Size() int64 { return f.size }

// readOnly opens a file for reading. Without O_NONBLOCK, opening a pipe would wait
// for a writer.
const readOnly = os.O_RDONLY | syscall.O_NONBLOCK

// openLocal opens a regular file. Reading anything else (a pipe, a device) could
// block or never end.
func openLocal(path string) (*localFile, error) {
	f, err := os.OpenFile(path, readOnly, 0)
	if err != nil {
		return nil, err
	}
	return regular(f)
}

// openBelow opens a regular file below root. The kernel resolves each element of
// path within root, so a symbolic link that appeared after path was checked can't
// lead out of it.
func openBelow(root, path string) (*localFile, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := r.OpenFile(path, readOnly, 0)
	if err != nil {
		return nil, err
	}
	return regular(f)
}

// regular returns f if it is a regular file, and closes it otherwise.
func regular(f *os.File) (*localFile, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(f.Name(), info)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &localFile{File: f, size: info.Size(), modTime: info.ModTime()}, nil
}

func notRegular(path string, info fs.FileInfo) error {
	kind := "a special file"
	if info.IsDir() {
		kind = "a folder"
	}
	return fmt.Errorf("%s is %s, not a regular file", path, kind)
}
