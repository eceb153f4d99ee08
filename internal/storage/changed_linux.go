package storage

import (
	"io/fs"
	"syscall"
	"time"
)

// changed returns when a file's content, times or name changed last. rsync -a, cp -p and tar
// set ModTime to that of the original, but nothing can set the time of a change.
func changed(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if c := time.Unix(s.Ctim.Unix()); c.After(at) {
			return c
		}
	}
	return at
}
