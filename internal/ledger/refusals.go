package ledger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// refusedDir holds Iterable's refusals, one file per batch with refusals, written before
// the batch counts as acknowledged.
const refusedDir = "refused"

// Refused is a line of such a file. A forgotten profile has only its row there.
type Refused struct {
	File   int32          `json:"file"`
	Row    int64          `json:"row"`
	Value  string         `json:"value,omitempty"`
	UserID bool           `json:"userId,omitempty"` // it was refused by its user ID
	Reason schemas.Reason `json:"reason,omitempty"`
	// Unsure is set for all profiles of a request that Iterable accepted only in part,
	// without naming the refused ones. The next run sends them again.
	Unsure bool   `json:"unsure,omitempty"`
	Key    string `json:"key"`
}

// Refusal is a row that Iterable refused.
type Refusal struct {
	Row    int // in the batch
	Reason schemas.Reason
	// Unsure is set for a profile of a request that Iterable accepted only in part,
	// without naming the refused ones; Reason is empty then.
	Unsure bool
	// ByUserID is set if it was refused by its user ID, and not by its address.
	ByUserID bool
}

// refusalFile returns the key of the file with the refusals of batch k of a kind.
func refusalFile(run schemas.RunRef, attempt, kind string, k int) string {
	return path.Join(dataroot.StagedDir(run, attempt), refusedDir, fmt.Sprintf("%s-%09d.jsonl", kind, k))
}

// refusalFiles returns the keys of the files with refusals, in the order of kind and batch.
func (l *Ledger) refusalFiles(ctx context.Context, run schemas.RunRef, attempt string) (keys []string, err error) {
	files, err := l.Root.List(ctx, path.Join(dataroot.StagedDir(run, attempt), refusedDir))
	if err != nil {
		return nil, fmt.Errorf("look for what Iterable refused: %w", err)
	}
	for _, f := range files {
		keys = append(keys, f.Name)
	}
	return keys, nil
}

// RefusedBatches returns the batches of a chunk for which earlier attempts kept refusals.
func (l *Ledger) RefusedBatches(ctx context.Context, in schemas.UploadInput) (map[int]bool, error) {
	files, err := l.refusalFiles(ctx, in.Run, in.Attempt)
	if err != nil {
		return nil, err
	}
	found := map[int]bool{}
	for _, f := range files {
		var k int
		if n, err := fmt.Sscanf(path.Base(f), in.Kind+"-%09d.jsonl", &k); n == 1 && err == nil && k >= in.First && k < in.End {
			found[k] = true
		}
	}
	return found, nil
}

// WriteRefusals writes the refused rows of a batch, in the order of the batch. They replace
// those of an earlier attempt.
func (l *Ledger) WriteRefusals(ctx context.Context, in schemas.UploadInput, k int, b *batch.Batch, rows []Refusal) error {
	name := refusalFile(in.Run, in.Attempt, in.Kind, k)
	if len(rows) == 0 {
		if err := l.Root.DeletePrefix(ctx, name); err != nil {
			return fmt.Errorf("forget what Iterable refused at an earlier try: %w", err)
		}
		return nil
	}
	slices.SortFunc(rows, func(x, y Refusal) int { return cmp.Compare(x.Row, y.Row) })
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for _, r := range rows {
		key := b.Key(r.Row)
		line := Refused{File: b.File(r.Row), Row: b.Row(r.Row), Reason: r.Reason, Unsure: r.Unsure, UserID: r.ByUserID, Key: hex.EncodeToString(key[:])}
		if !r.Unsure && r.Reason != schemas.ReasonIterableForgotten {
			line.Value = string(b.Email(r.Row))
			if line.Value == "" {
				line.Value, line.UserID = string(b.UserID(r.Row)), true
			}
		}
		if err := lines.Encode(line); err != nil {
			return fmt.Errorf("keep what Iterable refused: %w", err)
		}
	}
	if err := l.Root.Write(ctx, name, out.Bytes()); err != nil {
		return fmt.Errorf("keep what Iterable refused: %w", err)
	}
	return nil
}

// readRefusals reads the refusals of one batch.
func (l *Ledger) readRefusals(ctx context.Context, key string) (all []Refused, err error) {
	data, err := l.Root.Read(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read what Iterable refused: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(data)); d.More(); {
		var r Refused
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("read what Iterable refused, %s: %w", path.Base(key), ErrDamaged)
		}
		all = append(all, r)
	}
	return all, nil
}

// refusals reads the refused profiles as rejects, in the order of the segment, one batch at
// a time.
type refusals struct {
	ctx    context.Context
	read   func(ctx context.Context, key string) ([]Refused, error)
	keys   []string // of the files that are left
	rows   []Refused
	reject func(Refused) rejects.Reject
	err    error
}

// Next and Err make it a rejects.Source.
func (s *refusals) Next() (rejects.Reject, bool) {
	for s.err == nil {
		for len(s.rows) > 0 {
			r := s.rows[0]
			s.rows = s.rows[1:]
			if !r.Unsure {
				return s.reject(r), true
			}
		}
		if len(s.keys) == 0 {
			break
		}
		s.rows, s.err = s.read(s.ctx, s.keys[0])
		s.keys = s.keys[1:]
	}
	return rejects.Reject{}, false
}

// Err returns the error that ended reading.
func (s *refusals) Err() error { return s.err }

// key returns the snapshot's key of a refused profile.
func (r Refused) key() (k snapshot.Key, err error) {
	n, err := hex.Decode(k[:], []byte(r.Key))
	if err != nil || n != len(k) {
		return k, fmt.Errorf("read what Iterable refused: %w", ErrDamaged)
	}
	return k, nil
}

// reject returns the refusal as a row of the rejects file. files are the names of the
// segment's files.
func (r Refused) reject(e schemas.Export, files []string) rejects.Reject {
	out := rejects.Reject{Row: r.Row, Column: e.Email, Reason: r.Reason}
	if int(r.File) < len(files) {
		out.File = files[r.File]
	}
	if r.UserID || e.Email == "" {
		out.Column = e.UserID
	}
	if r.Value != "" {
		out.Value = []byte(r.Value)
	}
	return out
}

// FilesFile has the names of the segment's files, in the order of their indexes, beside the
// staged files.
const FilesFile = "files.json"

// PublishRejects writes the rejects file of the report: what staging rejected
// and what Iterable refused, in the order of the source. It returns the file's
// key, or "" if nothing was rejected.
func (l *Ledger) PublishRejects(ctx context.Context, run schemas.RunRef, e schemas.Export, attempt string) (string, error) {
	dir, key := dataroot.StagedDir(run, attempt), path.Join(dataroot.ReportDir(run), dataroot.RejectsFile)
	names, err := l.Root.Read(ctx, path.Join(dir, FilesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return l.Published(ctx, key)
	}
	if err != nil {
		return "", fmt.Errorf("write the rejects: %w", err)
	}
	var files []string
	if err := json.Unmarshal(names, &files); err != nil {
		return "", fmt.Errorf("write the rejects: %s is damaged", FilesFile)
	}
	late := &refusals{ctx: ctx, read: l.readRefusals, reject: func(r Refused) rejects.Reject { return r.reject(e, files) }}
	if late.keys, err = l.refusalFiles(ctx, run, attempt); err != nil {
		return "", err
	}
	late.keys = slices.DeleteFunc(late.keys, func(key string) bool { return !strings.HasPrefix(path.Base(key), schemas.Subscribe+"-") })
	w, err := l.Root.Create(ctx, key)
	if err != nil {
		return "", fmt.Errorf("write the rejects: %w", err)
	}
	defer w.Abort()
	rows, err := l.mergeRejects(ctx, dir, files, late, w)
	if err != nil {
		return "", fmt.Errorf("write the rejects: %w", err)
	}
	if rows == 0 {
		return "", nil
	}
	return key, w.Close()
}

// Published returns the key of a file beside the report if it is there, and else "". Where nothing is
// staged, either the run has ended before, or it was reset in Temporal: then another execution of it
// may have published the file and deleted what was staged.
func (l *Ledger) Published(ctx context.Context, key string) (string, error) {
	if has, err := l.Root.Has(ctx, key); err != nil || !has {
		return "", err
	}
	return key, nil
}

// mergeRejects writes what staging rejected and what Iterable refused as one file.
func (l *Ledger) mergeRejects(ctx context.Context, dir string, files []string, refused rejects.Source, out io.Writer) (int64, error) {
	file, err := l.Root.Open(ctx, path.Join(dir, dataroot.RejectsFile))
	if err != nil {
		return 0, StagingError(dataroot.RejectsFile, err)
	}
	defer file.Close()
	staged, err := rejects.Open(file)
	if err != nil {
		return 0, err
	}
	defer staged.Close()
	w := rejects.NewWriter(out)
	if err := rejects.Merge(w, files, refused, staged); err != nil {
		return 0, err
	}
	return w.Rows(), w.Close()
}
