package snapshot

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"
)

// memFiles keeps temporary files in memory. The write that goes beyond room
// bytes fails, where room is not 0.
type memFiles struct {
	content map[string]*bytes.Buffer
	room    int
	written int
}

type memFile struct {
	*bytes.Buffer
	files *memFiles
}

func (f memFile) Write(p []byte) (int, error) {
	f.files.written += len(p)
	if f.files.room > 0 && f.files.written > f.files.room {
		return 0, fmt.Errorf("write: %w", errFull)
	}
	return f.Buffer.Write(p)
}

func (f memFile) Close() error { return nil }

var errFull = fmt.Errorf("no space left on device")

func (m *memFiles) Create(name string) (io.WriteCloser, error) {
	if m.content == nil {
		m.content = map[string]*bytes.Buffer{}
	}
	if m.content[name] != nil {
		return nil, os.ErrExist
	}
	m.content[name] = &bytes.Buffer{}
	return memFile{m.content[name], m}, nil
}

func (m *memFiles) Open(name string) (io.ReadCloser, error) {
	if m.content[name] == nil {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(m.content[name].Bytes())), nil
}

func (m *memFiles) Remove(name string) error {
	if m.content[name] == nil {
		return os.ErrNotExist
	}
	delete(m.content, name)
	return nil
}

func TestDirFiles(t *testing.T) {
	dir := t.TempDir()
	rows := make([]Profile, 500)
	for i := range rows {
		rows[i] = profile(i, 1)
	}
	files := &watchedFiles{DirFiles: DirFiles(dir)}
	want := compare(t, nil, rows, Options{Rows: 500})
	if got := compare(t, nil, rows, Options{Rows: 500, MemoryPeople: 100, Files: files}); !got.equal(want) {
		t.Fatalf("through files %+v, in memory %+v", got.counts, want.counts)
	}
	if files.made == 0 {
		t.Fatal("no temporary file was made")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Fatalf("%d temporary files are left", len(left))
	}
	if _, err := files.DirFiles.Create("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := files.DirFiles.Create("a"); err == nil {
		t.Fatal("a file was made over another")
	}
	info, err := os.Stat(dir + "/a")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("people's data is readable by others: %v %v", info.Mode(), err)
	}
}

type watchedFiles struct {
	DirFiles
	made int
}

func (w *watchedFiles) Create(name string) (io.WriteCloser, error) {
	w.made++
	return w.DirFiles.Create(name)
}
