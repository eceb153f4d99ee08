package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"iterable-segment-export/internal/dataroot"
)

// declareRestore records that the data root was restored from a backup, so that the next run
// of each export trusts no snapshot in it.
func declareRestore(ctx context.Context, out io.Writer) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	root, err := s.dataRoot(ctx)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.WriteJSON(ctx, dataroot.RestoreKey, dataroot.Restore{ID: rand.Text(), At: time.Now().UTC()}); err != nil {
		return fmt.Errorf("declare the restore of the data root: %w", err)
	}
	_, err = fmt.Fprintf(out, "The next run of each export sends all profiles and removes none, since %s was restored from a backup.\n", root.URL())
	return err
}
