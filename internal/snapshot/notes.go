package snapshot

import (
	"context"
	"fmt"
)

// Notes collects what several sources say about profiles, by key and in bounded memory: what
// doesn't fit is in temporary files. It must be closed.
type Notes struct {
	sorter sorter
}

// NewNotes returns a Notes that holds that many bytes in memory (0 is 16 MB) and the
// rest in temporary files in dir ("" is the system's).
func NewNotes(dir string, memory int) *Notes { return &Notes{sorter: newSorter(dir, memory)} }

// Add adds a note about a profile. The kind is below 8. The text is copied.
func (n *Notes) Add(k Key, kind, number uint64, text []byte) error {
	return n.sorter.add(&Member{Key: k, Fields: number, Email: text}, kind)
}

// Each calls f with the notes, in ascending order of key and then of kind. The text is valid until
// f returns. No note can be added afterwards.
func (n *Notes) Each(ctx context.Context, f func(k Key, kind, number uint64, text []byte) error) error {
	all, err := n.sorter.sorted()
	if err != nil {
		return err
	}
	for i := 0; all.more(); i++ {
		if i%batchRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := f(all.member.Key, all.kind, all.member.Fields, all.member.Email); err != nil {
			return err
		}
		if err := all.next(); err != nil {
			return err
		}
	}
	return nil
}

// Close deletes the temporary files.
func (n *Notes) Close() error {
	if err := n.sorter.close(); err != nil {
		return fmt.Errorf("tidy up after collecting notes about profiles: %w", err)
	}
	return nil
}
