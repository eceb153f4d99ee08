package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"filippo.io/age"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Writer writes one file of the data root. The file appears as a whole when Close
// succeeds.
type Writer struct {
	root   *Root
	ctx    context.Context // of Create; the publication needs its lease
	w      io.WriteCloser
	plain  io.WriteCloser // encrypts into w; nil if the file is not encrypted
	cancel context.CancelFunc
	file   *os.File // the temporary file of a local root
	key    string
	fresh  bool         // the key must not have a file yet
	over   *replaceable // what the key must still have, unless nil
	done   bool
}

// ErrExists is the error of publishing a new file under a key that has one.
var ErrExists = errors.New("the file exists already")

// Create starts a file. The caller calls Close to publish it, or Abort.
func (r *Root) Create(ctx context.Context, key string) (*Writer, error) {
	return r.begin(ctx, key, false, nil)
}

// CreateNew is Create for a key that has no file yet. If the key has one when Close is
// called, Close publishes nothing and its error is ErrExists.
func (r *Root) CreateNew(ctx context.Context, key string) (*Writer, error) {
	return r.begin(ctx, key, true, nil)
}

func (r *Root) begin(ctx context.Context, key string, fresh bool, over *replaceable) (*Writer, error) {
	w, err := r.create(ctx, key, fresh, over)
	if err != nil || !r.encrypts(key) {
		return w, err
	}
	if w.plain, err = age.Encrypt(w.w, r.keys.recipient); err != nil {
		w.Abort()
		return nil, keyError("create", key, err)
	}
	return w, nil
}

func (r *Root) create(ctx context.Context, key string, fresh bool, over *replaceable) (*Writer, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	out := &Writer{root: r, ctx: ctx, key: key, fresh: fresh, over: over}
	ctx, out.cancel = context.WithCancel(ctx)
	opts := &blob.WriterOptions{ContentType: "application/octet-stream"}
	if r.dir == "" {
		opts.IfNotExist = fresh
		if over != nil && over.version != "" {
			opts.BeforeWrite = writeOver(over.version)
		}
		out.w = newUpload(ctx, r.bucket, key, opts)
		return out, nil
	}
	opts.BeforeWrite = func(as func(any) bool) error {
		if as(&out.file) {
			return out.file.Chmod(fileMode)
		}
		return nil
	}
	// A concurrent DeletePrefix can remove a new folder before there is a file in it.
	const tries = 5
	var w *blob.Writer
	var err error
	for range tries {
		if w, err = r.bucket.NewWriter(ctx, key, opts); err == nil || gcerrors.Code(err) != gcerrors.NotFound {
			break
		}
	}
	if err != nil {
		out.cancel()
		return nil, keyError("create", key, err)
	}
	out.w = w
	return out, nil
}

// upload writes to a bucket. gocloud's Writer is not used, since it panics for Azure
// when it is closed after a failed upload.
type upload struct {
	*io.PipeWriter
	done chan struct{}
	err  error
}

func newUpload(ctx context.Context, bucket *blob.Bucket, key string, opts *blob.WriterOptions) *upload {
	r, w := io.Pipe()
	u := &upload{PipeWriter: w, done: make(chan struct{})}
	go func() {
		defer close(u.done)
		if u.err = bucket.Upload(ctx, key, r, opts); u.err == nil {
			u.err = ctx.Err()
		}
		_ = r.CloseWithError(u.err)
	}()
	return u
}

// Close ends the upload, which publishes the file unless its context has ended.
func (u *upload) Close() error {
	_ = u.PipeWriter.Close()
	<-u.done
	return u.err
}

// Write appends to the file.
func (w *Writer) Write(p []byte) (int, error) {
	to := w.w
	if w.plain != nil {
		to = w.plain
	}
	n, err := to.Write(p)
	if err != nil {
		return n, keyError("write", w.key, err)
	}
	return n, nil
}

// Close publishes the file, and replaces one that has its key. After an error, or after
// Abort, nothing is published. A second call does nothing.
func (w *Writer) Close() error {
	if w.done {
		return nil
	}
	if w.plain != nil {
		if err := w.plain.Close(); err != nil {
			w.Abort()
			return keyError("write", w.key, err)
		}
	}
	if w.file != nil {
		// Without Sync, a renamed file could be empty after a loss of power.
		if err := w.file.Sync(); err != nil {
			w.Abort()
			return keyError("write", w.key, err)
		}
	}
	err := w.root.change(w.ctx, w.key, w.publish)
	if err != nil && !w.done {
		w.Abort()
	}
	switch {
	case err == nil:
		return nil
	case w.fresh && (errors.Is(err, fs.ErrExist) || gcerrors.Code(err) == gcerrors.FailedPrecondition):
		return fmt.Errorf("publish %s in the data root: %w", w.key, ErrExists)
	case w.over != nil && lost(err):
		return errChanged(w.key, "it was replaced")
	}
	return keyError("publish", w.key, err)
}

// publish makes the file appear under its key.
func (w *Writer) publish() error {
	if w.over != nil && w.over.version == "" {
		return w.replace()
	}
	if w.fresh && w.file != nil {
		// A link fails if the file exists; a rename would replace it.
		if err := os.Link(w.file.Name(), w.root.path(w.key)); err != nil {
			return err
		}
		w.Abort() // removes the temporary name
		return nil
	}
	w.done = true
	defer w.cancel()
	return w.w.Close()
}

// writeAll writes and publishes the whole content of a file.
func (w *Writer) writeAll(data []byte) error {
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return err
	}
	return w.Close()
}

// Abort discards the file. It does nothing after Close, so it can be deferred.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	// blob abandons a write when its context is cancelled; Close then only cleans up.
	w.cancel()
	if u, ok := w.w.(*upload); ok {
		_ = u.CloseWithError(context.Canceled)
	}
	_ = w.w.Close()
}

// errChanged returns an ErrChanged for a file.
func errChanged(name, how string) error {
	return fmt.Errorf("%s %w: %s", name, ErrChanged, how)
}

// ErrChanged is the error of a file that changed after it was listed or opened.
var ErrChanged = errors.New("changed while it was in use")
