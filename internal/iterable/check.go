package iterable

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// KeyCheck is what a check of a key found.
type KeyCheck struct {
	// Lists and Fields are how many of each the project has.
	Lists, Fields int
}

// probePrefix starts the name of the list that CheckKey makes and deletes.
const probePrefix = "iterable-segment-export connection check "

// cleanUpTime bounds the deleting of a probe list, which goes on after the
// caller's context has ended.
const cleanUpTime = 30 * time.Second

// CheckKey finds out whether the connection's key can do what exports need: read
// the lists, and write them. To prove the latter it makes an empty list and
// deletes it again. A key of the other data centre is a WrongRegion error, one
// that may read only, or that is meant for browsers and phones, a Forbidden one.
func (c *Client) CheckKey(ctx context.Context) (KeyCheck, error) {
	lists, err := c.Lists(ctx)
	if ClassOf(err) == KeyRejected && c.other != "" {
		return KeyCheck{}, c.elsewhere(ctx, err)
	}
	if err != nil {
		return KeyCheck{}, fmt.Errorf("read the project's lists: %w", err)
	}
	fields, err := c.Fields(ctx)
	if err != nil {
		return KeyCheck{}, fmt.Errorf("read the project's fields: %w", err)
	}
	if err := c.probeWrite(ctx); err != nil {
		return KeyCheck{}, err
	}
	return KeyCheck{Lists: len(lists), Fields: len(fields)}, nil
}

// elsewhere asks the other data centre about a key that this one rejects.
func (c *Client) elsewhere(ctx context.Context, rejected error) error {
	_, err := read(ctx, c, call{endpoint: api.Lists, base: c.other}, decodeLists)
	if class := ClassOf(err); err == nil || class == Forbidden || class == Throttled {
		// It answers so to keys that it knows only.
		return &Error{Class: WrongRegion, Status: http.StatusUnauthorized, Code: api.CodeBadAPIKey, Endpoint: api.Lists.String()}
	}
	return fmt.Errorf("read the project's lists: %w", rejected)
}

// probeWrite makes a list and deletes it again, whatever happens in between.
func (c *Client) probeWrite(ctx context.Context) (err error) {
	name := probePrefix + rand.Text()
	id, err := c.CreateList(ctx, name, "Made to check a connection, and deleted again at once.")
	if err != nil && ClassOf(err) != Transient && ctx.Err() == nil {
		return fmt.Errorf("make a list to see whether the key can write: %w", err)
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	if err != nil {
		// The answer was lost, but the list may have been made.
		if cleanErr := c.deleteNamed(after, name); cleanErr != nil {
			return fmt.Errorf("make a list to see whether the key can write: %w; if there is a list %q in Iterable, delete it", err, name)
		}
		return fmt.Errorf("make a list to see whether the key can write: %w", err)
	}
	if err := c.DeleteNew(after, id); err != nil {
		return fmt.Errorf("delete the list %d that was made to check the key: %w; delete it in Iterable", id, err)
	}
	return nil
}

// deleteNamed deletes the lists of the name, of which there is one or none.
func (c *Client) deleteNamed(ctx context.Context, name string) error {
	lists, err := c.Lists(ctx)
	if err != nil {
		return err
	}
	for _, l := range lists {
		if l.Name == name {
			if err := c.DeleteNew(ctx, l.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// newDeletes is how often DeleteNew tries: for about 30 s, as long as Iterable's own tests
// wait for a new list.
const newDeletes = 7

// DeleteNew deletes a list that was made just now, a few times if it has to. That Iterable
// does not know it may mean that it is too new: it is gone once the lists are twice
// without it.
func (c *Client) DeleteNew(ctx context.Context, id int64) error {
	missing := 0
	for try := 0; ; try++ {
		_, err := read(ctx, c, call{endpoint: api.DeleteList, list: id}, ignore)
		if class := ClassOf(err); class != NotFound && class != UnknownList || try == newDeletes {
			return err
		}
		if c.pause(ctx, backoff(try)) != nil {
			return err
		}
		lists, lookErr := c.Lists(ctx)
		if lookErr != nil {
			return lookErr
		}
		if slices.ContainsFunc(lists, func(l List) bool { return l.ID == id }) {
			missing = 0
		} else if missing++; missing == 2 {
			return nil
		}
	}
}
