//go:build unix

package devstack

import (
	"errors"
	"os"
	"syscall"
)

// tryLock reports whether the file is now locked for this process. It also does if the file
// system does not support locks.
func tryLock(f *os.File) bool {
	return !errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
