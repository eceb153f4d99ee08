//go:build unix

package devstack

import (
	"errors"
	"os"
	"syscall"
)

// tryLock says whether the file is now locked for this process. Where the file
// system knows no locks, it is.
func tryLock(f *os.File) bool {
	return !errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
