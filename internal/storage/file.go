package storage

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// localFile reads from the disk with no buffer in between.
type localFile struct {
	*os.File
	size    int64
	modTime time.Time
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
	return regular(f)
}

// openBelow opens a regular file below root. The kernel resolves each element of
// path within root, so that a symbolic link that was put there after path was
// checked leads nowhere else.
func openBelow(root, path string) (*localFile, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// Without O_NONBLOCK, opening a pipe waits for somebody who writes.
	f, err := r.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return regular(f)
}

// regular closes what is not a regular file.
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
