//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// lockTime bounds how long lockFile waits for another process, which may be stopped.
const lockTime = 10 * time.Second

// lockFile locks a file until it is closed. The kernel unlocks it if the process is killed.
func lockFile(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTime, fmt.Errorf("another process holds the lock %s for more than %s", f.Name(), lockTime))
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			if err != nil {
				return fmt.Errorf("lock %s: %w", f.Name(), err)
			}
			return nil
		}
		select {
		case <-time.After(time.Millisecond + rand.N(10*time.Millisecond)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
