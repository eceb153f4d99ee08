package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	gcs "cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	azureblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/smithy-go"
	"gocloud.dev/gcerrors"

	"iterable-segment-export/internal/lease"
)

// mostUpdates bounds how often Update tries. The pauses between, of which each is a random share of
// at most updatePause, take 13 s together on average.
const (
	mostUpdates = 30
	updatePause = time.Second
)

// Update replaces the content of a key's file by what change returns for it. If another process has
// changed the file meanwhile, it calls change again, for the new content; if this happens too often,
// its error is an ErrChanged. The content is nil if there is no file. If change returns nil, the file
// stays as it is.
func (r *Root) Update(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error {
	for try := 1; ; try++ {
		err := r.update(ctx, key, change)
		if try == mostUpdates || !errors.Is(err, ErrChanged) && !errors.Is(err, ErrExists) {
			return err
		}
		pause := time.NewTimer(rand.N(min(10*time.Millisecond<<min(try, 10), updatePause)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

func (r *Root) update(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error {
	if err := checkKey(key); err != nil {
		return err
	}
	over, err := r.replaceable(ctx, key)
	if err != nil {
		return err
	}
	var old []byte
	if over != nil {
		if old, err = r.decrypted(key, over.content); err != nil {
			return err
		}
	}
	data, err := change(old)
	if err != nil || data == nil {
		return err
	}
	w, err := r.begin(ctx, key, over == nil, over)
	if err != nil {
		return err
	}
	return w.writeAll(data)
}

// replaceable is the state of a file that is to be replaced, as stored.
type replaceable struct {
	content []byte
	version string // empty if the storage has none; then the content is compared
}

// replaceable reads the file of a key. It returns nil if there is none.
func (r *Root) replaceable(ctx context.Context, key string) (*replaceable, error) {
	reader, err := r.bucket.NewReader(ctx, key, nil)
	if err == nil {
		defer reader.Close()
		out := &replaceable{version: servedVersion(reader)}
		if out.version == "" && !r.alone() {
			return nil, fmt.Errorf("read %s in the data root: the bucket does not say which version it has", key)
		}
		if out.content, err = io.ReadAll(reader); err == nil {
			return out, nil
		}
	}
	if err = keyError("read", key, err); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

// CheckConditions returns an error if the storage ignores the conditions of writes, as some services do
// that are compatible with S3. It changes the file of a key.
func (r *Root) CheckConditions(ctx context.Context, key string) error {
	const ignored = "the storage of the data root ignores the condition %s of a write, so processes could undo each other's changes; use one that supports it"
	stale := &replaceable{}
	for range 2 { // the second change makes the first one's version old
		err := r.Update(ctx, key, func([]byte) (_ []byte, err error) {
			stale, err = r.replaceable(ctx, key)
			return fmt.Appendf(nil, `{"probe": "%016x"}`, rand.Uint64()), err
		})
		if err != nil {
			return err
		}
	}
	for condition, over := range map[string]*replaceable{"If-Match": stale, "If-None-Match": nil} {
		w, err := r.begin(ctx, key, over == nil, over)
		if err == nil {
			err = w.writeAll([]byte("{}"))
		}
		switch {
		case err == nil:
			return fmt.Errorf(ignored, condition)
		case !errors.Is(err, ErrChanged) && !errors.Is(err, ErrExists):
			return err
		}
	}
	return nil
}

// alone reports whether only processes of this host can change the root, or this process alone.
func (r *Root) alone() bool { return r.dir != "" || strings.HasPrefix(r.url, "mem:") }

// writeOver makes the write of an object fail if it replaces another version.
func writeOver(version string) func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var az *azblob.UploadStreamOptions
		var aws *transfermanager.UploadObjectInput
		var google **gcs.ObjectHandle
		switch {
		case as(&az):
			tag := azcore.ETag(strconv.Quote(version))
			az.AccessConditions = &azureblob.AccessConditions{ModifiedAccessConditions: &azureblob.ModifiedAccessConditions{IfMatch: &tag}}
		case as(&aws):
			tag := strconv.Quote(version)
			aws.IfMatch = &tag
		case as(&google):
			generation, err := strconv.ParseInt(version, 10, 64)
			if err != nil {
				return err
			}
			*google = (*google).If(gcs.Conditions{GenerationMatch: generation})
		default:
			return errors.New("the driver of the bucket has no conditional writes")
		}
		return nil
	}
}

// lost reports whether a conditional write has failed because the object is another one now, or gone.
func lost(err error) bool {
	var aws smithy.APIError
	switch gcerrors.Code(err) {
	case gcerrors.FailedPrecondition, gcerrors.NotFound:
		return !forbidden(err)
	}
	return errors.As(err, &aws) && aws.ErrorCode() == "ConditionalRequestConflict" || errors.Is(reason(err), ErrChanged)
}

// lockName is the name of a file in a local root that is locked while a file is replaced by Update.
const lockName = ".lock"

// lockTime bounds how long a change waits for another one, whose process may be stopped while it has the
// lock.
const lockTime = 3 * time.Second

// errNoLocks is the error of a file system without locks, such as some of NFS and FUSE.
var errNoLocks = errors.New("the file system of the data root has no locks")

// replace publishes the writer's file if the one that it replaces is still the same.
func (w *Writer) replace() error {
	unlock, err := w.root.lock(w.ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := w.root.bucket.ReadAll(w.ctx, w.key)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, w.over.content) {
		return errChanged(w.key, "it was replaced")
	}
	if err := lease.Check(w.ctx); err != nil { // which may have ended meanwhile
		return err
	}
	w.done = true
	defer w.cancel()
	return w.w.Close()
}

// lock locks a root without versions, against other processes of the host too. It is held for the time of
// a rename.
func (r *Root) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTime, fmt.Errorf("another process, or another part of this one, has locked the data root's file %s for more than %s", lockName, lockTime))
	defer cancel()
	select {
	case r.replacing <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if r.dir == "" {
		return func() { <-r.replacing }, nil
	}
	f, err := os.OpenFile(r.path(lockName), os.O_CREATE|os.O_RDWR, fileMode)
	if err == nil {
		if err = lockFile(ctx, f); err != nil {
			f.Close()
		}
	}
	if err != nil {
		<-r.replacing
		return nil, err
	}
	return func() {
		f.Close() // which unlocks it
		<-r.replacing
	}, nil
}
