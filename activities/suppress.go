package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"weak"

	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// suppressed shares the suppression lists of a connection among the segments that are staged
// at the same time: a hundred million hashes are in memory once.
type suppressed struct {
	mu    sync.Mutex
	lists map[string]*suppressionLists // by connection
}

type suppressionLists struct {
	mu sync.Mutex // held while the lists are read
	// of identifies the files that the set is from.
	of     string
	set    weak.Pointer[suppression.Set]
	counts []schemas.SuppressionCount
}

func (s *suppressed) of(connection string) *suppressionLists {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists == nil {
		s.lists = map[string]*suppressionLists{}
	}
	if s.lists[connection] == nil {
		s.lists[connection] = &suppressionLists{}
	}
	return s.lists[connection]
}

// suppressions reads the suppression lists of the export's connection, if it has any. A list that can't be read, or that the export's rows can't be compared
// with, is an error: without it the export may not send.
func (a *Activities) suppressions(ctx context.Context, in schemas.StageInput) (out staging.Suppressed, err error) {
	c, err := a.known(in.Export.Connection)
	if err != nil || len(c.Suppress) == 0 {
		return out, err
	}
	if err := canCompare(c, in.Export); err != nil {
		return out, err
	}
	set, counts, warnings, err := a.readSuppressions(ctx, c)
	if err != nil {
		return out, err
	}
	before, err := a.countsBefore(ctx, in.Run)
	if err != nil {
		return out, err
	}
	for i := range counts {
		counts[i].Before = before[counts[i].Name]
		if n := counts[i].Unreadable; n > 0 {
			warnings = append(warnings, fmt.Sprintf("suppression list %q: %d of %d entries are not an e-mail address, and suppress nobody", counts[i].Name, n, counts[i].Entries))
		}
	}
	return staging.Suppressed{
		Set: set, Lists: counts, Warnings: warnings,
		ByAddress: slices.ContainsFunc(c.Suppress, schemas.Suppression.ByEmail),
		ByUserID:  slices.ContainsFunc(c.Suppress, schemas.Suppression.ByUserID),
	}, nil
}

// canCompare returns an error if the export's rows can't be compared with a list.
func canCompare(c schemas.Connection, e schemas.Export) error {
	for _, list := range c.Suppress {
		if list.ByEmail() && e.Email != "" || list.ByUserID() && e.UserID != "" {
			continue
		}
		has, lacks := "addresses", "email"
		if !list.ByEmail() {
			has, lacks = "user IDs", "userID"
		}
		return needOperator(schemas.ErrorSuppression, fmt.Sprintf(
			"suppression list %q of connection %q has %s, and export %q maps no %s column to compare them with; add %s to the export and run it again, or have an administrator add a column to the list and retry",
			list.Name, c.Name, has, e.Name, lacks, lacks))
	}
	return nil
}

// readSuppressions reads the suppression lists of a connection, unless they were read before
// and are the same.
func (a *Activities) readSuppressions(ctx context.Context, c schemas.Connection) (_ *suppression.Set, counts []schemas.SuppressionCount, warnings []string, err error) {
	shared := a.suppressed.of(c.Name)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	found := make([]*suppressionList, len(c.Suppress))
	of := ""
	for i, list := range c.Suppress {
		if found[i], err = inspectSuppression(ctx, c, list); err != nil {
			return nil, nil, nil, suppressionFailure(ctx, err, c, list)
		}
		for _, doubt := range found[i].doubts {
			warnings = append(warnings, fmt.Sprintf("suppression list %q: %s", list.Name, doubt))
		}
		of += found[i].of
	}
	if set := shared.set.Value(); set != nil && shared.of == of {
		return set, slices.Clone(shared.counts), warnings, nil
	}
	set := new(suppression.Set)
	for i, list := range c.Suppress {
		one, kept, err := a.keptHashes(ctx, schemas.SuppressionKey(c.Name, list.Name), found[i].of)
		if err != nil { // of the data root
			return nil, nil, nil, fmt.Errorf("read the kept hashes of suppression list %q of connection %q: %w", list.Name, c.Name, err)
		}
		if one == nil {
			one, kept, err = a.readAndKeep(ctx, c, found[i])
		}
		if err == nil {
			err = set.Merge(one)
		}
		if err != nil {
			return nil, nil, nil, suppressionFailure(ctx, err, c, list)
		}
		counts = append(counts, schemas.SuppressionCount{Name: list.Name, Fingerprint: found[i].Info().Fingerprint, Entries: kept.Entries, Unreadable: kept.Unreadable})
	}
	set.Seal()
	shared.of, shared.set, shared.counts = of, weak.Make(set), slices.Clone(counts)
	a.Log.Info("suppression lists read", "connection", c.Name, "lists", len(c.Suppress), "entries", set.Len())
	return set, counts, warnings, nil
}

// suppressionFailure returns the error of a suppression list. Only an error of the storage may
// go away by itself.
func suppressionFailure(ctx context.Context, err error, c schemas.Connection, list schemas.Suppression) error {
	var bad *segment.Error
	if ctx.Err() != nil {
		return err
	}
	if errors.As(err, &bad) && bad.Type == "" || errors.Is(err, storage.ErrUnavailable) {
		return fmt.Errorf("read suppression list %q of connection %q: %w", list.Name, c.Name, err)
	}
	return needOperator(schemas.ErrorSuppression, fmt.Sprintf(
		"suppression list %q of connection %q can't be read: %s; nothing is sent without it: have an administrator repair it, then retry", list.Name, c.Name, step.Message(err)))
}

// readSuppression adds a suppression list to the set, and counts its entries. How it hashes them is
// part of hashRules.
func readSuppression(ctx context.Context, seg *segment.Segment, list schemas.Suppression, set *suppression.Set, n *suppression.Kept) error {
	var addresses int64
	hash := map[segment.Role]func([]byte) (suppression.Hash, error){
		segment.UserID: func(id []byte) (suppression.Hash, error) { return suppression.UserID(id), nil },
	}
	var buffer []byte
	hash[segment.Email] = func(raw []byte) (suppression.Hash, error) {
		address, reason := email.Normalize(raw, buffer, email.Options{AllowUnknownTLD: true})
		if reason != "" {
			n.Unreadable++
			return suppression.Address(raw), nil
		}
		addresses++
		return suppression.Address(address), nil
	}
	if list.EmailSHA256 != "" {
		hash[segment.Email] = suppression.Sum
	}
	if list.UserIDSHA256 != "" {
		hash[segment.UserID] = suppression.Sum
	}
	files := seg.Files()
	for b, err := range seg.Read(ctx, segment.Options{}) {
		if err != nil {
			return err
		}
		for i, column := range seg.Columns {
			added, err := addColumn(set, b, i, hash[column.Role])
			if n.Entries += added; err != nil {
				return fmt.Errorf("file %s, column %q: %w", files[b.File], column.Name, err)
			}
		}
	}
	if n.Unreadable > 0 && addresses == 0 {
		return fmt.Errorf("none of the %d values of column %q is an e-mail address; name another column", n.Unreadable, list.Email)
	}
	if rows := seg.Info().Rows; rows > 0 && n.Entries == 0 {
		return fmt.Errorf("none of its %d rows has a value in the columns that it names; a column may have been renamed", rows)
	}
	return nil
}

// addColumn adds the values of a column to the set, and returns how many there were.
func addColumn(set *suppression.Set, b segment.Batch, column int, hash func([]byte) (suppression.Hash, error)) (n int64, err error) {
	values, err := segment.NewStringColumn(b.Column(column))
	if err != nil {
		return 0, err
	}
	for i := range values.Len() {
		value, ok := values.Bytes(i)
		if !ok || len(bytes.TrimSpace(value)) == 0 {
			continue
		}
		h, err := hash(value)
		if err == nil {
			err = set.Add(h)
		}
		if err != nil {
			return n, fmt.Errorf("row %d: %w", b.Offset+int64(i), err)
		}
		n++
	}
	return n, nil
}

// suppressionFile, beside the snapshot, has the number of entries that each suppression list had
// when the last run was done.
const suppressionFile = "suppression.json"

// countsBefore returns the suppressionFile's numbers, none if there was no run.
func (a *Activities) countsBefore(ctx context.Context, run schemas.RunRef) (before map[string]int64, err error) {
	data, err := a.Root.Read(ctx, ledger.Key(run, suppressionFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil:
		err = json.Unmarshal(data, &before)
	case !errors.Is(err, storage.ErrDamaged):
		return nil, fmt.Errorf("read the sizes of the suppression lists: %w", err)
	}
	if err != nil {
		a.Log.Warn("sizes of suppression lists damaged", "export", run.Export, "segment", run.Segment)
		return nil, nil
	}
	return before, nil
}

// keepCounts stores the sizes of the suppression lists of a run that is done.
func (a *Activities) keepCounts(ctx context.Context, run schemas.RunRef, lists []schemas.SuppressionCount) error {
	if len(lists) == 0 {
		return nil
	}
	counts := map[string]int64{}
	for _, list := range lists {
		counts[list.Name] = list.Entries
	}
	data, err := json.Marshal(counts)
	if err == nil {
		err = a.Root.Write(ctx, ledger.Key(run, suppressionFile), data)
	}
	if err != nil {
		return fmt.Errorf("store the sizes of the suppression lists: %w", err)
	}
	return nil
}
