package access

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"time"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/schemas"
)

// Host is where a connection leads to. A consent is about that host: that data may go
// to one data centre says nothing of another one.
func Host(c schemas.Connection) string {
	address := iterable.Address(c)
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// Consent returns the record in force for a connection, nil if there is none: the
// newest of what connections.yaml and the data root say.
func (g *Gate) Consent(ctx context.Context, c schemas.Connection) (*schemas.ConsentRecord, error) {
	var newest *schemas.ConsentRecord
	if c.Consent != nil {
		newest = &schemas.ConsentRecord{
			Connection: c.Name, Host: Host(c), By: c.Consent.AcceptedBy, At: c.Consent.AcceptedAt, Statement: c.Consent.Statement, File: true,
		}
	}
	kept, err := g.root.List(ctx, schemas.ConsentDir(c.Name))
	if err != nil {
		return nil, fmt.Errorf("look for the consent to connection %q: %w", c.Name, err)
	}
	for i := len(kept) - 1; i >= 0; i-- { // the newest first, since names are times
		var r schemas.ConsentRecord
		if _, err := g.root.ReadJSON(ctx, kept[i].Name, &r); err != nil {
			return nil, fmt.Errorf("read the consent to connection %q (%s): %w", c.Name, kept[i].Name, err)
		}
		if !r.Withdrawn && r.Host != Host(c) {
			continue
		}
		if newest == nil || r.At.After(newest.At) {
			newest = &r
		}
		break
	}
	return newest, nil
}

// CheckConsent returns the Refused of a connection to which nobody agrees.
func (g *Gate) CheckConsent(ctx context.Context, c schemas.Connection) error {
	r, err := g.Consent(ctx, c)
	switch {
	case err != nil:
		return err
	case r == nil:
		return No(schemas.ErrorNoConsent,
			"nobody has agreed yet to people's data going to %s over connection «%s»; an administrator does so with: starter connect %s; then retry",
			Host(c), c.Name, schemas.ShellWord(c.Name))
	case r.Withdrawn:
		return No(schemas.ErrorNoConnection,
			"connection «%s» was disconnected by %s on %s; set another connection for the export and run it again, or have an administrator connect it anew with: starter connect %s; then retry",
			c.Name, r.By, r.At.UTC().Format(time.DateOnly), schemas.ShellWord(c.Name))
	}
	return nil
}

// Agree records that a person agrees to the statement whose SHA-256 they have seen, so
// that nobody agrees to another version's statement.
func (g *Gate) Agree(ctx context.Context, who schemas.Person, c schemas.Connection, seen string) (schemas.ConsentRecord, error) {
	if seen != schemas.ConsentStatementSHA256() {
		return schemas.ConsentRecord{}, No(schemas.ErrorNoConsent, "the statement that was agreed to is not the worker's; use the starter of the worker's version")
	}
	return g.keepConsent(ctx, schemas.ConsentRecord{
		Connection: c.Name, Host: Host(c), By: who.Name, Statement: schemas.ConsentStatement, SHA256: seen,
	})
}

// Withdraw records that a person withdraws the consent to a connection.
func (g *Gate) Withdraw(ctx context.Context, who schemas.Person, c schemas.Connection) (schemas.ConsentRecord, error) {
	return g.keepConsent(ctx, schemas.ConsentRecord{Connection: c.Name, Host: Host(c), By: who.Name, Withdrawn: true})
}

// keepConsent writes a record beside those before it: that somebody agreed once stays
// on record.
func (g *Gate) keepConsent(ctx context.Context, r schemas.ConsentRecord) (schemas.ConsentRecord, error) {
	r.At = g.now().UTC()
	return r, g.root.WriteJSON(ctx, path.Join(schemas.ConsentDir(r.Connection), r.At.Format("20060102T150405.000000000Z")+".json"), r)
}
