package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"weak"

	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/segment"
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
	of  string
	set weak.Pointer[suppression.Set]
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

// suppress returns the people on the suppression lists of the export's connection, or nil if
// it has no lists. A list that can't be read, or that the export's rows can't be compared with,
// is an error: without it the export may not send.
func (a *Activities) suppress(ctx context.Context, e schemas.Export) (*suppression.Set, error) {
	c, err := a.known(e.Connection)
	if err != nil || len(c.Suppress) == 0 {
		return nil, err
	}
	for _, list := range c.Suppress {
		if list.ByEmail() && e.Email != "" || list.ByUserID() && e.UserID != "" {
			continue
		}
		has, lacks := "addresses", "email"
		if !list.ByEmail() {
			has, lacks = "user IDs", "userID"
		}
		return nil, needOperator(schemas.ErrorSuppression, fmt.Sprintf(
			"suppression list %q of connection %q has %s, and export %q maps no %s column to compare them with; add %s to the export and run it again, or have an administrator add a column to the list and retry",
			list.Name, c.Name, has, e.Name, lacks, lacks))
	}
	shared := a.suppressed.of(c.Name)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	found := make([]*segment.Segment, len(c.Suppress))
	settings, err := json.Marshal(c.Suppress)
	if err != nil {
		return nil, fmt.Errorf("encode the suppression lists of connection %q: %w", c.Name, err)
	}
	of := string(settings)
	for i, list := range c.Suppress {
		if found[i], err = inspectSuppression(ctx, c, list); err != nil {
			return nil, suppressionFailure(ctx, err, c, list)
		}
		of += found[i].Info().Fingerprint
	}
	if set := shared.set.Value(); set != nil && shared.of == of {
		return set, nil
	}
	set := new(suppression.Set)
	for i, list := range c.Suppress {
		if err := readSuppression(ctx, found[i], list, set); err != nil {
			return nil, suppressionFailure(ctx, err, c, list)
		}
	}
	set.Seal()
	shared.of, shared.set = of, weak.Make(set)
	a.Log.Info("suppression lists read", "connection", c.Name, "lists", len(c.Suppress), "entries", set.Len())
	return set, nil
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
		"suppression list %q of connection %q can't be read: %s; nothing is sent without it: have an administrator repair it, then retry", list.Name, c.Name, messageOf(err)))
}

// inspectSuppression reads the footers of a suppression list.
func inspectSuppression(ctx context.Context, c schemas.Connection, list schemas.Suppression) (*segment.Segment, error) {
	located, err := allowedFiles(ctx, c, list.Source, segment.Latest, false)
	if err != nil {
		return nil, err
	}
	return located.Inspect(ctx, segment.Columns{Email: list.Email + list.EmailSHA256, UserID: list.UserID + list.UserIDSHA256})
}

// readSuppression adds a suppression list to the set.
func readSuppression(ctx context.Context, seg *segment.Segment, list schemas.Suppression, set *suppression.Set) error {
	var values, addresses int64
	hash := map[segment.Role]func([]byte) (suppression.Hash, error){
		segment.UserID: func(id []byte) (suppression.Hash, error) { return suppression.UserID(id), nil },
	}
	var buffer []byte
	hash[segment.Email] = func(raw []byte) (suppression.Hash, error) {
		values++
		address, reason := email.Normalize(raw, buffer, email.Options{AllowUnknownTLD: true})
		if reason != "" {
			return suppression.Address(raw), nil // no export can send to it
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
			if err := addColumn(set, b, i, hash[column.Role]); err != nil {
				return fmt.Errorf("file %s, column %q: %w", files[b.File], column.Name, err)
			}
		}
	}
	if values > 0 && addresses == 0 {
		return fmt.Errorf("none of the %d values of column %q is an e-mail address; name another column", values, list.Email)
	}
	return nil
}

// addColumn adds the values of a column to the set.
func addColumn(set *suppression.Set, b segment.Batch, column int, hash func([]byte) (suppression.Hash, error)) error {
	values, err := segment.NewStringColumn(b.Column(column))
	if err != nil {
		return err
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
			return fmt.Errorf("row %d: %w", b.Offset+int64(i), err)
		}
	}
	return nil
}
