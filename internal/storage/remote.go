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
	name    string // for messages
	size    int64  // bytes
	modTime time.Time
	version string // empty if the driver has no versions
	exact   bool   // a blob of Azure that is requested by its unescaped name
}

// How often a range is requested, and how long a try may wait for data. The first
// pause has that length on average, each further one twice that of the one before.
const (
	fetchTries   = 6
	firstPause   = 200 * time.Millisecond
	standStill   = 30 * time.Second
	fetchesOfOne = 8 // concurrent requests for one file
)

// fetch reads len(p) bytes at off. A retry continues after the bytes that were read,
// since all tries read the same version. It calls count after every try with the
// bytes read.
func (o *object) fetch(ctx context.Context, p []byte, off int64, count func(bytes int)) error {
	pause := firstPause
	for try, done := 1, 0; ; try++ {
		n, err := o.try(ctx, p[done:], off+int64(done))
		count(n)
		if done += n; err == nil {
			return nil
		}
		if n > 0 {
			try, pause = 1, firstPause // it makes progress, however slow
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

// try sends one request, and returns the number of bytes read. A response that ends
// early is an error.
func (o *object) try(ctx context.Context, p []byte, off int64) (n int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := fmt.Errorf("%w: no data for %s", ErrUnavailable, standStill)
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
			return n, fmt.Errorf("%w: the response ended %d bytes early", ErrUnavailable, len(p)-n)
		case err != nil:
			return n, err
		}
	}
	return n, nil
}

// read starts reading a range of the object's version.
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

// Range is a part of a file in bytes, without the byte at End.
type Range struct{ Start, End int64 }

// Planner is a remote File that can fetch ahead.
type Planner interface {
	// Plan announces the ranges that are read next, each sequentially, and all of
	// them concurrently. They are fetched ahead, in large requests and with bounded
	// memory. A plan replaces the one before it.
	Plan([]Range)
}

// Traffic counts the bytes and requests that reading a file needed.
type Traffic struct{ Bytes, Requests int64 }

// Metered is a File that counts its traffic.
type Metered interface{ Traffic() Traffic }

// remoteFile reads an object through blocks fetched ahead. A read after the object
// was replaced is an error, so two versions are never mixed.
type remoteFile struct {
	object
	ctx      context.Context
	cancel   context.CancelFunc
	fetching sync.WaitGroup
	slots    chan struct{}

	bytes, requests atomic.Int64

	mu    sync.Mutex
	whole *stretch   // for reads outside the plan
	plan  []*stretch // sorted, without overlap
}

// Sizes of blocks outside a plan, in bytes. Of a source little more than the footer
// is read that way; of a file in the data root, everything.
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

// Close cancels the requests in flight.
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

// stretchAt returns the stretch that serves the byte at off.
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
