// Package trial keeps the people that a trial names. Their addresses and user IDs go from the
// person who starts the trial into a file of the data root, which is encrypted like all files
// with people, and from there into the worker's memory. Temporal has only the file's name, which
// is random.
package trial

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// longest is the longest text that can identify a person, in bytes.
const longest = 1024

// file is the content of the file of a trial.
type file struct {
	People []string `json:"people"`
}

// Check returns the people without white space around them and without repetitions. Its error
// does not quote them.
func Check(people []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for i, id := range people {
		id = strings.TrimSpace(id)
		if id == "" || len(id) > longest {
			return nil, fmt.Errorf("person %d of the trial is not an address or a user ID of at most %d bytes", i+1, longest)
		}
		if seen[id] {
			continue
		}
		if len(out) == schemas.MostTried {
			return nil, fmt.Errorf("the trial names too many people: at most %d can be tried at once", schemas.MostTried)
		}
		seen[id] = true
		out = append(out, id)
	}
	return out, nil
}

// Keep stores the people of a trial of an export, and returns the name of their file.
func Keep(ctx context.Context, root *storage.Root, connection, export string, people []string) (name string, err error) {
	name = rand.Text()
	if err := root.WriteJSON(ctx, dataroot.TrialKey(connection, export, name), file{people}); err != nil {
		return "", fmt.Errorf("store the people of the trial in the data root: %w", err)
	}
	return name, nil
}

// Delete deletes the file of a trial. An empty name is that of no file.
func Delete(ctx context.Context, root *storage.Root, connection, export, name string) error {
	if name == "" {
		return nil
	}
	err := root.DeletePrefix(ctx, dataroot.TrialKey(connection, export, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the people of the trial: %w", err)
	}
	return nil
}

// People are those that a trial names. It is not safe for concurrent use.
type People struct {
	ids   []string
	found []bool
	// index has the numbers of the ids by the id, and by its normalized form: an address can be
	// named in several spellings, which are user IDs of different people.
	index map[string][]int
}

// Read reads the file of a trial. The error is fs.ErrNotExist if there is none.
func Read(ctx context.Context, root *storage.Root, connection, export, name string) (*People, error) {
	var f file
	ok, err := root.ReadJSON(ctx, dataroot.TrialKey(connection, export, name), &f)
	if err == nil && !ok {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("read the people of the trial: %w", err)
	}
	return newPeople(f.People), nil
}

func newPeople(ids []string) *People {
	p := &People{ids: ids, found: make([]bool, len(ids)), index: map[string][]int{}}
	for i, id := range ids {
		p.index[id] = append(p.index[id], i)
		if address := normalized([]byte(id)); address != nil && string(address) != id {
			p.index[string(address)] = append(p.index[string(address)], i)
		}
	}
	return p
}

// normalized returns an address in the form in which addresses are compared, or nil if it has
// none.
func normalized(raw []byte) []byte {
	address, reason := email.Normalize(raw, nil, email.Options{AllowUnknownTLD: true})
	if reason != "" {
		return nil
	}
	return address
}

// Has reports whether one of the identifiers of a row is of a person that the trial names. The
// last ones, raw, are as they are in the file. It notes that the person was found.
func (p *People) Has(address, userID []byte, raw ...[]byte) bool {
	has := p.note(address)
	has = p.note(userID) || has // a row can be of two who are named
	for _, id := range raw {
		has = p.note(bytes.TrimSpace(id)) || has
		has = p.note(normalized(id)) || has
	}
	return has
}

func (p *People) note(id []byte) bool {
	named := p.index[string(id)]
	for _, i := range named {
		p.found[i] = true
	}
	return len(named) > 0
}

// Missing returns the people that Has has not found: address or user ID, of which the other one
// is empty. An address in two spellings is returned once.
func (p *People) Missing(yield func(address, userID []byte) error) error {
	returned := map[string]bool{}
	for i, id := range p.ids {
		if p.found[i] {
			continue
		}
		address, userID := normalized([]byte(id)), []byte(nil)
		if address == nil {
			userID = []byte(id)
		}
		if returned[string(address)] && address != nil {
			continue
		}
		returned[string(address)] = true
		if err := yield(address, userID); err != nil {
			return err
		}
	}
	return nil
}

// saltSize is the size of the salt in bytes.
const saltSize = 32

// Sum returns a MAC of data, which is about people: its key is in the data root, so that the MAC
// can be compared and not guessed.
func Sum(ctx context.Context, root *storage.Root, data []byte) ([]byte, error) {
	salt, err := root.Read(ctx, dataroot.TrialSaltKey)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := make([]byte, saltSize)
		_, _ = rand.Read(fresh) // never fails
		if err = root.WriteNew(ctx, dataroot.TrialSaltKey, fresh); err == nil || errors.Is(err, storage.ErrExists) {
			salt, err = root.Read(ctx, dataroot.TrialSaltKey)
		}
	}
	if err == nil && len(salt) != saltSize {
		err = fmt.Errorf("it has %d bytes, not %d; delete it", len(salt), saltSize)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s in the data root: %w", dataroot.TrialSaltKey, err)
	}
	h := hmac.New(sha256.New, salt)
	h.Write(data)
	return h.Sum(nil), nil
}
