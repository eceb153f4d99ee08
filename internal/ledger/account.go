package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/forgotten"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// Account is what a run has done to a list, by the staged files, Iterable's answers and its
// refusals. It is the same for runs that finished, were aborted or died.
type Account struct {
	*Ledger
	run     schemas.RunRef
	attempt string // at staging
	update  *snapshot.Update
	// Answers are Iterable's answers, by the kind of batch.
	Answers map[string]Answers
	refused map[string]bool // files of refusals that there are
	// unknown is set if the answers can't be read: every batch was
	// perhaps done.
	unknown bool
	// unanswered counts batches without an answer, which a finished run has for all.
	unanswered int
	// superseding are the profiles that are staged under another key than their member of the
	// snapshot, by their hashed addresses.
	superseding map[snapshot.Key]outcome
	// forgotten are the profiles that Iterable refused as forgotten.
	forgotten forgotten.People
}

// outcome is what Iterable did with a profile.
type outcome int

// The outcomes. A profile was accepted unless an answer, or its lack, says otherwise.
const (
	wasAccepted outcome = iota
	wasUncertain
	wasRefused
)

// NewAccount reads the answers and refusals. It returns an account with ErrDamaged too.
func (l *Ledger) NewAccount(ctx context.Context, run schemas.RunRef, attempt string, update *snapshot.Update) (*Account, error) {
	c := &Account{Ledger: l, run: run, attempt: attempt, update: update, refused: map[string]bool{}, superseding: map[snapshot.Key]outcome{}}
	var err error
	if c.Answers, err = l.ReadAnswered(ctx, run, attempt); err != nil {
		return c, err
	}
	files, err := l.refusalFiles(ctx, run, attempt)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		c.refused[f] = true
	}
	return c, nil
}

// add adds the outcome of the batches of both kinds to the update.
func (c *Account) add(ctx context.Context) error {
	damaged := c.findSuperseding(ctx) // what follows may be sound
	if damaged != nil && !errors.Is(damaged, ErrDamaged) {
		return damaged
	}
	for _, kind := range []string{schemas.Subscribe, schemas.Unsubscribe} {
		switch err := c.kind(ctx, kind); {
		case errors.Is(err, ErrDamaged):
			damaged = err
		case err != nil:
			return err
		}
	}
	if err := c.dropForgotten(ctx); err != nil {
		return err
	}
	if damaged != nil {
		return damaged
	}
	return forgotten.Store{Root: c.Root, Log: c.Log}.Remember(ctx, c.run.Connection, c.attempt, c.forgotten)
}

// findSuperseding reads which profiles take the place of members with another key.
func (c *Account) findSuperseding(ctx context.Context) error {
	err := c.eachStaged(ctx, c.supersededKey(), func(m *snapshot.Member) error {
		if len(m.Email) > 0 {
			c.superseding[batch.AddressKey(m.Email)] = wasAccepted
		}
		return nil
	})
	if notStaged(err) {
		return nil
	}
	return err
}

// SupersededFile holds members of the snapshot that are in the segment under another key,
// in hybrid projects.
const SupersededFile = "superseded.arrow"

func (c *Account) supersededKey() string {
	return path.Join(dataroot.StagedDir(c.run, c.attempt), SupersededFile)
}

// StagedName returns the name of the file with the batches of a kind.
func StagedName(kind string) string {
	if kind == schemas.Unsubscribe {
		return dataroot.RemovesFile
	}
	return dataroot.AddsFile
}

func (c *Account) kind(ctx context.Context, kind string) error {
	key := path.Join(dataroot.StagedDir(c.run, c.attempt), StagedName(kind))
	staged, err := c.OpenStaged(ctx, key)
	if err != nil {
		return fmt.Errorf("read the staged file %s: %w", StagedName(kind), err)
	}
	defer staged.Close()
	for k := range staged.Batches() {
		chunk := c.Answers[kind].Chunk(k)
		acknowledged := chunk != nil && chunk.Acknowledged(k)
		if !acknowledged {
			c.unanswered++
		}
		if chunk == nil && !c.unknown {
			continue // no request was made with it
		}
		b, err := staged.Batch(k)
		if err != nil {
			return fmt.Errorf("read the staged file %s: %w", StagedName(kind), err)
		}
		err = c.batch(ctx, kind, k, b, acknowledged)
		b.Release()
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// batch adds the outcome of one batch to the update.
func (c *Account) batch(ctx context.Context, kind string, k int, b *batch.Batch, acknowledged bool) error {
	refused, err := c.Refusals(ctx, kind, k)
	if err != nil {
		return err
	}
	for i := range b.Len() {
		m := snapshot.Member{Key: b.Key(i), Fields: b.Fields(i), Email: b.Email(i), UserID: b.UserID(i)}
		r, named := refused[m.Key]
		if kind == schemas.Subscribe && (named || !acknowledged) {
			c.notAccepted(m.Email, acknowledged && !r.Unsure)
		}
		switch {
		case !acknowledged, r.Unsure:
			err = c.update.Doubt(&m)
		case named && r.Reason == schemas.ReasonIterableForgotten:
			id := m.Email
			if r.UserID {
				id = m.UserID
			}
			c.forgotten = append(c.forgotten, forgotten.HashOf(id))
			err = c.update.Forget(m.Key)
		case named:
			err = c.update.Refuse(m.Key)
		case kind == schemas.Unsubscribe:
			err = c.update.Remove(m.Key)
		default:
			err = c.update.Put(&m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// notAccepted notes that Iterable may not have accepted a profile, or has not for sure.
func (c *Account) notAccepted(email []byte, sure bool) {
	key := batch.AddressKey(email)
	if _, ok := c.superseding[key]; !ok {
		return
	}
	c.superseding[key] = wasUncertain
	if sure {
		c.superseding[key] = wasRefused
	}
}

// Refusals returns the refusals of one batch, by the member's key.
func (c *Account) Refusals(ctx context.Context, kind string, k int) (map[snapshot.Key]Refused, error) {
	name := refusalFile(c.run, c.attempt, kind, k)
	if !c.refused[name] {
		return nil, nil
	}
	rows, err := c.readRefusals(ctx, name)
	if err != nil {
		return nil, err
	}
	out := make(map[snapshot.Key]Refused, len(rows))
	for _, r := range rows {
		key, err := r.key()
		if err != nil {
			return nil, err
		}
		out[key] = r
	}
	return out, nil
}

// superseded drops members that are recorded under another key now. A member that Iterable
// refused under the other key stays as it was. If that is uncertain, and after a run that
// did not finish, it stays a member with unknown values.
func (c *Account) superseded(ctx context.Context, throughout bool) error {
	return c.eachStaged(ctx, c.supersededKey(), func(m *snapshot.Member) error {
		switch o := c.superseding[batch.AddressKey(m.Email)]; {
		case o == wasRefused:
			return nil
		case o == wasUncertain || !throughout:
			return c.update.Doubt(m)
		}
		return c.update.Remove(m.Key)
	})
}

// notStaged reports whether a run has ended before everything was staged.
func notStaged(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// ForgottenFile, beside the staged files, has the snapshot's keys of forgotten members. The
// next snapshot leaves them out.
const ForgottenFile = "forgotten"

// dropForgotten removes the members that staging found to be forgotten.
func (c *Account) dropForgotten(ctx context.Context) error {
	data, err := c.Root.Read(ctx, path.Join(dataroot.StagedDir(c.run, c.attempt), ForgottenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which members are forgotten: %w", err)
	}
	for key := range slices.Chunk(data, len(snapshot.Key{})) {
		if len(key) < len(snapshot.Key{}) {
			return ErrDamaged
		}
		if err := c.update.Forget(snapshot.Key(key)); err != nil {
			return err
		}
	}
	return nil
}
