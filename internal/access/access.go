// Package access says who may do what. A Gate is a worker's: it reads people's
// tokens, issues grants and checks them. A nil *Gate is that of a worker without
// AUTH_JWKS: it asks nobody, and takes everybody for an administrator.
//
// Three things go through Temporal, and none of them is a secret that is good for
// more than what it was made for:
//
//   - A proof is a person's token, sealed with the worker's public key together
//     with the one question that it is meant for, and good for some minutes.
//   - A grant is a MAC over an export, exactly as it is, and the person who asked
//     for it.
//   - A pass is a MAC over one segment's part of one run; every activity asks for
//     it, so that nobody can start one without a grant.
package access

import (
	"context"
	"slices"
	"time"

	"iterable-segment-export/schemas"
)

// leeway is how far the clocks of issuers, of people's machines and of workers
// may be apart.
const leeway = time.Minute

// Options are a gate's settings.
type Options struct {
	Tokens TokenOptions
	// Secrets are what the workers of a deployment share: the first one makes
	// grants, the others are still good. Each has to be hard to guess.
	Secrets []string
}

// Gate decides what people and runs may do. It is safe for use by several
// goroutines. A nil *Gate lets everybody in.
type Gate struct {
	tokens *tokens
	keys   []keys // the newest first
	now    func() time.Time
}

// New makes a gate. Keys of the issuer that are in a file are read at once.
func New(o Options) (*Gate, error) {
	g := &Gate{now: time.Now}
	var err error
	if g.keys, err = deriveAll(o.Secrets); err != nil {
		return nil, err
	}
	g.tokens, err = newTokens(o.Tokens, func() time.Time { return g.now() })
	return g, err
}

// Refused is the gate's no.
type Refused struct {
	Type    schemas.ErrorType
	Message string
}

func (r *Refused) Error() string { return r.Message }

// Required tells whether people have to prove who they are.
func (g *Gate) Required() bool { return g != nil }

// WorkerKey is what a person's program needs to make proofs.
func (g *Gate) WorkerKey() schemas.WorkerKey {
	if g == nil {
		return schemas.WorkerKey{}
	}
	return schemas.WorkerKey{Required: true, Key: g.keys[0].publicKey()}
}

// Person finds out who asks a question. Where nobody has to prove who they are it
// is whom the program claims it to be, as an administrator. The error is a
// *Refused, or that the issuer's keys can't be had.
func (g *Gate) Person(ctx context.Context, p *schemas.Proof, q Question, claimed string) (schemas.Person, error) {
	if g == nil {
		return schemas.Person{Name: claimed, Role: schemas.RoleAdministrator}, nil
	}
	token, err := g.open(p, q)
	if err != nil {
		return schemas.Person{}, err
	}
	return g.tokens.person(ctx, token)
}

// ranks are the roles, from the least to the most that one may do.
var ranks = []schemas.Role{schemas.RoleViewer, schemas.RoleContributor, schemas.RoleAdministrator}

// AtLeast tells whether a role may do all that another one may. A role that there
// is not may do nothing.
func AtLeast(role, least schemas.Role) bool {
	return slices.Contains(ranks, role) && slices.Index(ranks, role) >= slices.Index(ranks, least)
}

// MayUse tells whether a role may use a connection.
func MayUse(role schemas.Role, c schemas.Connection) bool {
	switch role {
	case schemas.RoleAdministrator:
		return true // they own the connections
	case schemas.RoleContributor:
		return slices.Contains(c.Allowed, schemas.AllowContributors)
	}
	return false
}
