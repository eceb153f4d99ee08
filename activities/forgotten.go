package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// personHash is the hash of an address or user ID, trimmed and in lower case. GET
// /api/users/forgotten lists forgotten profiles by the whole SHA-256.
type personHash = suppression.Hash

func hashPerson(id []byte) personHash { return suppression.Address(id) }

// forgottenPeople is a sorted list of the profiles that a project has forgotten.
type forgottenPeople []personHash

// has reports whether a profile is among them, by the identifier that the project uses.
func (f forgottenPeople) has(email, userID []byte, projectType string) bool {
	if len(f) == 0 {
		return false
	}
	for i, id := range [][]byte{email, userID} {
		if len(id) == 0 || i == 0 && projectType == schemas.ProjectUserID || i == 1 && projectType == schemas.ProjectEmail {
			continue
		}
		if f.contains(hashPerson(id)) {
			return true
		}
	}
	return false
}

func (f forgottenPeople) contains(h personHash) bool {
	_, found := slices.BinarySearchFunc(f, h, personHash.Compare)
	return found
}

// sorted puts hashes in order, each once.
func (f forgottenPeople) sorted() forgottenPeople {
	slices.SortFunc(f, personHash.Compare)
	return slices.Compact(f)
}

func (f forgottenPeople) encode() []byte {
	out := make([]byte, 0, len(f)*len(personHash{}))
	for _, h := range f {
		out = append(out, h[:]...)
	}
	return out
}

// A connection's schemas.ForgottenDir has two kinds of files. A listed file holds Iterable's
// answer, and its name the time of the request: a late answer does not replace a newer one.
// A reported file holds the profiles that Iterable refused to an attempt as forgotten.
const (
	listedPrefix   = "listed-"
	reportedPrefix = "reported-"
)

// FetchForgotten asks Iterable once per run for the project's forgotten profiles. They are
// never sent. If Iterable does not answer, the run continues with those that are known:
// Iterable refuses the others itself.
func (a *Activities) FetchForgotten(ctx context.Context, in schemas.ForgottenInput) (out schemas.ForgottenResult, err error) {
	ctx, attempt := a.begin(ctx, in.Run.Deadline, nil)
	defer attempt.End(ctx, &err)
	r, err := a.admitted(ctx, in.Run, reads)
	if err == nil {
		err = a.sameHost(in.Run.Connection, in.Connection.Host)
	}
	if err == nil && r != nil && in.Connection != r.Connection {
		err = altered(in.Run)
	}
	if err != nil {
		return out, err
	}
	client, err := a.Clients.Get(in.Run.Connection)
	if err != nil {
		return out, err
	}
	for _, e := range []api.Endpoint{api.Forgotten, api.ForgottenUserIDs} {
		if err := a.Senders.WaitDocumented(ctx, in.Run.Connection, e); err != nil {
			return out, err
		}
	}
	asked := activity.GetInfo(ctx).StartedTime // by Temporal's clock, which all workers share
	hashes, err := client.Forgotten(ctx, in.Connection.ProjectType)
	switch iterable.ClassOf(err) {
	case iterable.Transient, iterable.Throttled:
		if activity.GetInfo(ctx).Attempt < forgottenTries {
			break
		}
		fallthrough
	case iterable.BadRequest, iterable.Forbidden, iterable.NotFound, iterable.Unexpected:
		out.Warning = fmt.Sprintf("could not ask Iterable for the forgotten profiles (%v); those known from earlier runs are left out, and Iterable refuses the others itself", err)
		err = a.keepReported(ctx, in.Run, hashes) // of two lists, one may be there
	case "":
		if err == nil {
			err = a.keepListed(ctx, in.Run.Connection, asked, hashes)
		}
	}
	if err != nil {
		return out, failure(err, in.Run.Connection)
	}
	known, err := a.forgotten(ctx, in.Run.Connection)
	out.People = int64(len(known))
	return out, err
}

// forgottenTries is how often Iterable is asked, with growing pauses, before the run continues
// without an answer.
const forgottenTries = 8

// keepReported adds the profiles of an incomplete list to the known ones.
func (a *Activities) keepReported(ctx context.Context, run schemas.RunRef, hashes []string) error {
	some, err := decodeForgotten(hashes)
	if err != nil {
		return err
	}
	return a.rememberForgotten(ctx, run.Connection, schemas.PathName(run.RunID), some)
}

// decodeForgotten reads SHA-256 sums in hexadecimal.
func decodeForgotten(hashes []string) (out forgottenPeople, err error) {
	for _, text := range hashes {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha256.Size {
			return nil, errors.New("the list of forgotten profiles has an entry that is not a SHA-256 sum")
		}
		out = append(out, personHash(sum[:16]))
	}
	return out.sorted(), nil
}

// keepListed stores the profiles that Iterable lists in place of the previous list, and
// deletes reports that the list covers.
func (a *Activities) keepListed(ctx context.Context, connection string, asked time.Time, hashes []string) error {
	listed, err := decodeForgotten(hashes)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s%020d", listedPrefix, asked.UnixNano())
	if err := a.Root.Write(ctx, path.Join(schemas.ForgottenDir(connection), name), listed.encode()); err != nil {
		return fmt.Errorf("keep who is forgotten: %w", err)
	}
	err = a.eachForgotten(ctx, connection, func(f storage.Object, some forgottenPeople) error {
		unlisted := func(h personHash) bool { return !listed.contains(h) }
		base := path.Base(f.Name)
		// A report that the list does not have after a day is about a profile that is
		// not forgotten any more.
		fresh := strings.HasPrefix(base, reportedPrefix) && slices.ContainsFunc(some, unlisted) && asked.Sub(f.ModTime) < 24*time.Hour
		if strings.HasPrefix(base, listedPrefix) && base >= name || fresh {
			return nil
		}
		return a.Root.DeletePrefix(ctx, f.Name)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another run is about to do the same
	}
	return err
}

// forgotten returns the profiles known to be forgotten.
func (a *Activities) forgotten(ctx context.Context, connection string) (forgottenPeople, error) {
	for tries := 0; ; tries++ {
		all, err := a.readForgotten(ctx, connection)
		if errors.Is(err, fs.ErrNotExist) && tries < 10 {
			continue // another run has just put a newer list in the place of one
		}
		return all, err
	}
}

func (a *Activities) readForgotten(ctx context.Context, connection string) (forgottenPeople, error) {
	var listed, all forgottenPeople
	err := a.eachForgotten(ctx, connection, func(f storage.Object, some forgottenPeople) error {
		if strings.HasPrefix(path.Base(f.Name), listedPrefix) {
			listed = some // the newest comes last
		} else {
			all = append(all, some...)
		}
		return nil
	})
	return append(all, listed...).sorted(), err
}

// eachForgotten reads the files of forgotten profiles, in the order of their names. Damaged
// ones count as empty: the next list replaces them.
func (a *Activities) eachForgotten(ctx context.Context, connection string, do func(f storage.Object, some forgottenPeople) error) error {
	files, err := a.Root.List(ctx, schemas.ForgottenDir(connection))
	if err != nil {
		return fmt.Errorf("look for who is forgotten: %w", err)
	}
	for _, f := range files {
		data, err := a.Root.Read(ctx, f.Name)
		if errors.Is(err, storage.ErrDamaged) || err == nil && len(data)%len(personHash{}) != 0 {
			a.Log.Warn("forgotten list damaged", "file", f.Name)
			data, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("read who is forgotten: %w", err)
		}
		var some forgottenPeople
		for h := range slices.Chunk(data, len(personHash{})) {
			some = append(some, personHash(h))
		}
		if err := do(f, some); err != nil {
			return err
		}
	}
	return nil
}

// rememberForgotten stores the profiles that Iterable refused to an attempt as forgotten, so
// that no later run sends them.
func (a *Activities) rememberForgotten(ctx context.Context, connection, attempt string, people forgottenPeople) error {
	if len(people) == 0 {
		return nil
	}
	if err := a.Root.Write(ctx, path.Join(schemas.ForgottenDir(connection), reportedPrefix+attempt), people.sorted().encode()); err != nil {
		return fmt.Errorf("keep who is forgotten: %w", err)
	}
	return nil
}

// forgottenFile, beside the staged files, has the snapshot's keys of forgotten members. The
// next snapshot leaves them out.
const forgottenFile = "forgotten"

// dropForgotten removes the members that staging found to be forgotten.
func (c *account) dropForgotten(ctx context.Context) error {
	data, err := c.Root.Read(ctx, path.Join(schemas.StagedDir(c.run, c.attempt), forgottenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which members are forgotten: %w", err)
	}
	for key := range slices.Chunk(data, len(snapshot.Key{})) {
		if len(key) < len(snapshot.Key{}) {
			return errDamaged
		}
		if err := c.update.Forget(snapshot.Key(key)); err != nil {
			return err
		}
	}
	return nil
}
