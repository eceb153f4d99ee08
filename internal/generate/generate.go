package generate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/schemas"
)

// Formats of a generated segment.
const (
	Parquet = "parquet"
	Arrow   = "arrow"
)

// Limits of Options: the numbers of more rows would not fit their columns, and real segments
// have fewer files.
const (
	mostRows     = 10_000_000_000
	mostFiles    = 10_000
	mostVersions = 1_000_000
)

// Options describe the segment to write. The same options write the same rows.
type Options struct {
	// Rows is the number of rows, bad ones included.
	Rows int64
	// Out is the folder to write to, created if needed. It may only contain an earlier version
	// with the same files, which are replaced.
	Out string
	// Format is Parquet (the default) or Arrow (IPC files with lz4).
	Format string
	// Files is the number of files, with equal numbers of rows; 0 means one.
	Files int
	// Bad is the share of rows, from 0 to 1, with a missing address or one that can't be
	// mailed. 0.02 is realistic.
	Bad float64
	// Seed selects other profiles.
	Seed int64
	// Version is the number of the segment's version, from 1. With each version
	// after the first a share Churn, from 0 to 1, of the profiles leaves and as many
	// others join; all other rows stay the same. 0 means 2 if Churn is set, else 1.
	Version int
	Churn   float64
}

// Expected is the expected result of an export of the segment by address.
type Expected struct {
	Rows int64
	// Valid is the number of members of the list.
	Valid int64
	// Rejected counts rows by reason, duplicates left out.
	Rejected   map[schemas.Reason]int64
	Duplicates int64
	// Left and Joined count the profiles that are gone and new since the version before; 0 for
	// the first version.
	Left, Joined int64
	// Digest is the list's first digest as the sandbox computes it, in an
	// email-based project: SHA-256, in hexadecimal.
	Digest string
}

func (o Options) withDefaults() (Options, error) {
	if o.Format == "" {
		o.Format = Parquet
	}
	if o.Files == 0 {
		o.Files = 1
	}
	if o.Version == 0 {
		o.Version = 1
		if o.Churn > 0 {
			o.Version = 2
		}
	}
	switch {
	case o.Out == "":
		return o, errors.New("generate a segment: no output folder is set")
	case o.Rows < 0 || o.Rows > mostRows:
		return o, fmt.Errorf("generate a segment: %d rows; give 0 to %d", o.Rows, int64(mostRows))
	case o.Format != Parquet && o.Format != Arrow:
		return o, fmt.Errorf("generate a segment: unknown format %q; give %s or %s", o.Format, Parquet, Arrow)
	case o.Files < 1 || o.Files > mostFiles:
		return o, fmt.Errorf("generate a segment: %d files; give 1 to %d", o.Files, mostFiles)
	case math.IsNaN(o.Bad) || o.Bad < 0 || o.Bad > 1:
		return o, fmt.Errorf("generate a segment: a share of %v bad rows; give 0 to 1", o.Bad)
	case math.IsNaN(o.Churn) || o.Churn < 0 || o.Churn > 1:
		return o, fmt.Errorf("generate a segment: a churn of %v; give a share from 0 to 1", o.Churn)
	case o.Version < 1 || o.Version > mostVersions:
		return o, fmt.Errorf("generate a segment: version %d; give 1 to %d", o.Version, mostVersions)
	}
	return o, nil
}

// Segment writes a segment of Schema and returns what to expect of it. Memory does not grow
// with the number of rows. A file is complete or missing.
func Segment(ctx context.Context, o Options) (Expected, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Expected{}, err
	}
	if err := o.prepareFolder(); err != nil {
		return Expected{}, err
	}
	p := newPlan(o)
	var expected Expected
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		expected, err = p.expected(ctx)
		return err
	})
	group.Go(func() error {
		for n := range o.Files {
			if err := o.writeFile(ctx, p, n); err != nil {
				return fmt.Errorf("write %s: %w", o.file(n), err)
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return Expected{}, err
	}
	return expected, nil
}

// file returns the path of a file from its number.
func (o Options) file(n int) string {
	return filepath.Join(o.Out, fmt.Sprintf("part-%05d.%s", n, o.Format))
}

// prepareFolder creates the folder, and refuses one with other files.
func (o Options) prepareFolder() error {
	if err := os.MkdirAll(o.Out, 0o700); err != nil {
		return fmt.Errorf("generate a segment: %w", err)
	}
	entries, err := os.ReadDir(o.Out)
	if err != nil {
		return fmt.Errorf("generate a segment: %w", err)
	}
	own := map[string]bool{}
	for n := range o.Files {
		own[filepath.Base(o.file(n))] = true
	}
	for _, entry := range entries {
		if name := entry.Name(); !own[name] && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "_") {
			return fmt.Errorf("generate a segment: %s holds %q already, which would become part of the segment; give an empty folder", o.Out, name)
		}
	}
	return nil
}
