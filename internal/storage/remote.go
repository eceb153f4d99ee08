package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"
)

// object is one version of one object in a bucket.
type object struct {
	bucket  *blob.Bucket
	key     string
	name    string // for people
	size    int64  // bytes
	modTime time.Time
	version string // empty where the driver has none
	exact   bool   // a blob of Azure that is asked for by its very name
}

// How often a range is asked for, and how long a try may stand still. The first
// pause is of that length on average, each further one twice as long.
const (
	fetchTries   = 6
	firstPause   = 200 * time.Millisecond
	standStill   = 30 * time.Second
	fetchesOfOne = 8 // of one file at the same time
)

// fetch reads len(p) bytes at off. What was read before a failure is kept: all
// tries read the same version. Every try is counted with what it gave.
func (o *object) fetch(ctx context.Context, p []byte, off int64, count func(bytes int)) error {
	pause := firstPause
	for try, done := 1, 0; ; try++ {
		n, err := o.try(ctx, p[done:], off+int64(done))
		count(n)
		if done += n; err == nil {
			return nil
		}
		if n > 0 {
			try, pause = 1, firstPause // it goes on, however slowly
		}
		switch err = reason(err); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			return errChanged(o.name, "it is no longer there")
		case errors.Is(err, ErrChanged):
			return errChanged(o.name, "it was replaced")
		case errors.Is(err, fs.ErrPermission), try == fetchTries:
			return fmt.Errorf("read %s at byte %d of %d: %w", o.name, off+int64(done), o.size, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
			pause *= 2
		}
	}
}

// try reads once, and says how much was read. An answer that ends early is an
// error.
func (o *object) try(ctx context.Context, p []byte, off int64) (n int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := fmt.Errorf("%w: nothing came for %s", ErrUnavailable, standStill)
	watchdog := time.AfterFunc(standStill, func() { cancel(stalled) })
	defer watchdog.Stop()
	defer func() {
		if err != nil && context.Cause(ctx) == stalled {
			err = stalled
		}
	}()
	r, err := o.read(ctx, off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for n < len(p) {
		k, err := r.Read(p[n:])
		n += k
		watchdog.Reset(standStill)
		switch {
		case n == len(p):
			return n, nil
		case err == io.EOF:
			return n, fmt.Errorf("%w: the answer ended %d bytes early", ErrUnavailable, len(p)-n)
		case err != nil:
			return n, err
		}
	}
	return n, nil
}

// read starts reading a range of the version that is wanted.
func (o *object) read(ctx context.Context, off, length int64) (io.ReadCloser, error) {
	if o.exact {
		return o.readExact(ctx, off, length)
	}
	r, err := o.bucket.NewRangeReader(ctx, o.key, off, length, readVersion(o.version))
	if err != nil {
		return nil, err
	}
	served := servedVersion(r)
	if r.Size() != o.size || served != "" && o.version != "" && served != o.version || o.version == "" && !r.ModTime().Equal(o.modTime) {
		_ = r.Close()
		return nil, errChanged(o.name, "it was replaced")
	}
	return r, nil
}

// Range is a part of a file, in bytes: from Start up to and without End.
type Range struct{ Start, End int64 }

// Planner is a File far away, for which it pays to know what will be read.
type Planner interface {
	// Plan says which ranges are read next, each of them from its beginning to
	// its end, one beside the other. They are fetched ahead, in large requests
	// and with bounded memory. A plan takes the place of the one before it.
	Plan([]Range)
}

// Traffic is what was asked of the network to read a file.
type Traffic struct{ Bytes, Requests int64 }

// Metered is a File that counts what it asks of the network.
type Metered interface{ Traffic() Traffic }

// remoteFile reads an object through what it fetches ahead. A read after the
// object was replaced is an error, never a mixture of two objects.
type remoteFile struct {
	object
	ctx      context.Context
	cancel   context.CancelFunc
	fetching sync.WaitGroup
	slots    chan struct{}

	bytes, requests atomic.Int64

	mu    sync.Mutex
	whole *stretch   // for whatever is not planned
	plan  []*stretch // by their place, without overlap
}

// Sizes of the blocks, in bytes, in which a file is fetched that nothing is known
// of. Of a source little more is read that way than its footer; of what is in
// the data root, everything.
const (
	sourceBlock = 64 << 10
	rootBlock   = 1 << 20
)

func newRemoteFile(ctx context.Context, o object, block int64) *remoteFile {
	f := &remoteFile{object: o, slots: make(chan struct{}, fetchesOfOne)}
	f.ctx, f.cancel = context.WithCancel(ctx)
	f.whole = newStretch(f, Range{0, o.size}, block)
	f.whole.grows = true
	return f
}

func (f *remoteFile) Size() int64 { return f.size }

// Close gives up what is being fetched.
func (f *remoteFile) Close() error {
	f.cancel()
	f.fetching.Wait()
	return nil
}

func (f *remoteFile) Traffic() Traffic { return Traffic{f.bytes.Load(), f.requests.Load()} }

func (f *remoteFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	total := 0
	for total < len(p) && off < f.size {
		s := f.stretchAt(off)
		n, err := s.read(p[total:], off)
		total += n
		off += int64(n)
		if err != nil {
			return total, err
		}
	}
	if total < len(p) {
		return total, io.EOF
	}
	return total, nil
}

// stretchAt is the stretch that serves that byte.
func (f *remoteFile) stretchAt(off int64) *stretch {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.plan {
		if off >= s.Start && off < s.End {
			return s
		}
	}
	return f.whole
}
