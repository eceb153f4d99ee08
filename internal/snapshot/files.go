package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// TempFiles is where files go that are written once from start to end, read once
// from start to end, and removed. They hold people's data.
type TempFiles interface {
	Create(name string) (io.WriteCloser, error)
	Open(name string) (io.ReadCloser, error)
	Remove(name string) error
}

// DirFiles keeps temporary files in a folder, which it makes, readable by their owner
// only. Most uses need none.
type DirFiles string

// Create makes a file, which must not exist yet.
func (d DirFiles) Create(name string) (io.WriteCloser, error) {
	if err := os.Mkdir(string(d), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make a folder for temporary files: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	return f, nil
}

// Open reads a file.
func (d DirFiles) Open(name string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, fmt.Errorf("open a temporary file: %w", err)
	}
	return f, nil
}

// Remove removes a file.
func (d DirFiles) Remove(name string) error {
	if err := os.Remove(filepath.Join(string(d), name)); err != nil {
		return fmt.Errorf("remove a temporary file: %w", err)
	}
	return nil
}

// fileSet remembers which files it made, to remove what is left of them.
type fileSet struct {
	files TempFiles
	left  map[string]bool
}

func newFileSet(files TempFiles) fileSet { return fileSet{files: files, left: map[string]bool{}} }

func (s *fileSet) create(name string) (io.WriteCloser, error) {
	w, err := s.files.Create(name)
	if err == nil {
		s.left[name] = true
	}
	return w, err
}

func (s *fileSet) remove(name string) error {
	if !s.left[name] {
		return nil
	}
	delete(s.left, name)
	return s.files.Remove(name)
}

func (s *fileSet) removeAll() (err error) {
	for name := range s.left {
		if e := s.remove(name); e != nil && err == nil {
			err = e
		}
	}
	return err
}
