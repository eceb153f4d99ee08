// Package access decides who may do what. Tokens verifies who a person is. A Gate
// issues and checks grants, and keeps records in the data root: which connection an
// export's name belongs to, which grants were revoked, who agreed to a connection, and
// what each run was admitted with.
//
// A grant is a MAC over all input of a run. The key is derived from WORKER_SECRET, which
// only the workers have. The MAC detects changes of a schedule by a person who can write
// to Temporal; it prevents nothing else (docs/security.md).
package access

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// leastSecret is the minimum number of characters of a secret: 32 random bytes have 44
// in base64.
const leastSecret = 32

// Gate decides what people and runs may do. It is safe for use by several goroutines.
type Gate struct {
	root *storage.Root
	keys [][]byte // of MACs, the newest first; empty if runs need no grant
	now  func() time.Time

	trail trail
}

// New returns a gate that keeps its records in root. The workers of a deployment share
// the secrets: the first one signs grants, the others only verify them. Without secrets,
// runs need no grant.
func New(root *storage.Root, secrets []string) (*Gate, error) {
	g := &Gate{root: root, now: time.Now, trail: trail{turn: make(chan struct{}, 1), waiting: map[string]map[string]*addition{}}}
	for _, s := range secrets {
		if len(s) < leastSecret {
			return nil, fmt.Errorf("a WORKER_SECRET has %d characters, want at least %d; make one with: openssl rand -base64 32", len(s), leastSecret)
		}
		key, err := hkdf.Key(sha256.New, []byte(s), nil, "iterable-segment-export grant v3", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive a key from WORKER_SECRET: %w", err)
		}
		g.keys = append(g.keys, key)
	}
	return g, nil
}

// Required reports whether runs need a grant.
func (g *Gate) Required() bool { return len(g.keys) > 0 }

// mac returns the MAC of a grant for in. It signs their JSON, whose form depends only on
// their Go types. kind keeps a grant for one operation from being used for another.
func mac(key []byte, kind string, grant schemas.Grant, in any) ([]byte, error) {
	grant.MAC = nil
	data, err := json.Marshal([]any{kind, grant, in})
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil), nil
}

// signer returns which of the secrets the grant's MAC was made with, 0 for the newest, -1
// if it was none of them.
func (g *Gate) signer(kind string, grant schemas.Grant, in any) int {
	return slices.IndexFunc(g.keys, func(key []byte) bool {
		want, err := mac(key, kind, grant, in)
		return err == nil && hmac.Equal(want, grant.MAC)
	})
}

// Refused is the error of what a person or a run may not do.
type Refused struct {
	Type    schemas.ErrorType
	Message string
}

func (r *Refused) Error() string { return r.Message }

// No returns a Refused.
func No(kind schemas.ErrorType, format string, args ...any) *Refused {
	return &Refused{Type: kind, Message: fmt.Sprintf(format, args...)}
}

// IsRefused reports whether an error is a Refused of that type.
func IsRefused(err error, kind schemas.ErrorType) bool {
	var no *Refused
	return errors.As(err, &no) && no.Type == kind
}

// ranks are the roles, from the one with the fewest permissions to the one with the most.
var ranks = []schemas.Role{schemas.RoleViewer, schemas.RoleContributor, schemas.RoleAdministrator}

// AtLeast reports whether role has all permissions of least. An unknown role has none.
func AtLeast(role, least schemas.Role) bool {
	return slices.Contains(ranks, role) && slices.Index(ranks, role) >= slices.Index(ranks, least)
}

// MayUse reports whether a role may use a connection.
func MayUse(role schemas.Role, c schemas.Connection) bool {
	return role == schemas.RoleAdministrator || role == schemas.RoleContributor && slices.Contains(c.Allowed, schemas.AllowContributors)
}

// CheckUse returns a Refused if a person may not use a connection. Its text does not
// depend on whether the connection exists.
func CheckUse(who schemas.Person, c schemas.Connection) error {
	if MayUse(who.Role, c) {
		return nil
	}
	return No(schemas.ErrorNotAllowed,
		"%s has the role %s, and connection %q is not shared with contributors; have an administrator add contributors to its \"allowed\", or do it as an administrator",
		who.Name, who.Role, c.Name)
}
