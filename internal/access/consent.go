package access

import (
	"context"
	"fmt"
	"net/url"
	"path"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/schemas"
)

// Host returns the host that a connection sends to. A consent is for one host, since it
// does not cover another data centre.
func Host(c schemas.Connection) string {
	address := iterable.Address(c)
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// Consent returns the record in force for a connection, the newest one in
// connections.yaml and the data root, or nil.
func (g *Gate) Consent(ctx context.Context, c schemas.Connection) (*schemas.ConsentRecord, error) {
	var newest *schemas.ConsentRecord
	if c.Consent != nil {
		newest = &schemas.ConsentRecord{
			Connection: c.Name, Host: Host(c), By: c.Consent.AcceptedBy, At: c.Consent.AcceptedAt, Statement: c.Consent.Statement, File: true,
		}
	}
	kept, err := g.root.List(ctx, dataroot.ConsentDir(c.Name))
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

// CheckConsent returns a Refused if the connection has no consent in force.
func (g *Gate) CheckConsent(ctx context.Context, c schemas.Connection) error {
	r, err := g.Consent(ctx, c)
	switch {
	case err != nil:
		return err
	case r == nil:
		return No(schemas.ErrorNoConsent,
			"no administrator has agreed yet to send personal data to %s over connection %q; agree with: starter connect %s; then retry",
			Host(c), c.Name, schemas.ShellWord(c.Name))
	case r.Withdrawn:
		return No(schemas.ErrorNoConnection,
			"connection %q was disconnected by %s on %s; set another connection for the export and run it again, or have an administrator connect it again with: starter connect %s; then retry",
			c.Name, r.By, schemas.Day(r.At), schemas.ShellWord(c.Name))
	}
	return nil
}

// Agree records that a person agrees to the statement. seen is the SHA-256 of the text
// that they were shown, which must be that of this version's statement.
func (g *Gate) Agree(ctx context.Context, who schemas.Person, c schemas.Connection, seen string) (schemas.ConsentRecord, error) {
	if seen != schemas.ConsentStatementSHA256() {
		return schemas.ConsentRecord{}, No(schemas.ErrorNoConsent, "the starter showed another version's statement; use the starter of the worker's version")
	}
	return g.keepConsent(ctx, schemas.ConsentRecord{
		Connection: c.Name, Host: Host(c), By: who.Name, Statement: schemas.ConsentStatement, SHA256: seen,
	})
}

// Withdraw records that a person withdraws the consent to a connection.
func (g *Gate) Withdraw(ctx context.Context, who schemas.Person, c schemas.Connection) (schemas.ConsentRecord, error) {
	return g.keepConsent(ctx, schemas.ConsentRecord{Connection: c.Name, Host: Host(c), By: who.Name, Withdrawn: true})
}

// keepConsent writes a record. Earlier records stay.
func (g *Gate) keepConsent(ctx context.Context, r schemas.ConsentRecord) (schemas.ConsentRecord, error) {
	r.At = g.now().UTC()
	return r, g.root.WriteJSON(ctx, path.Join(dataroot.ConsentDir(r.Connection), r.At.Format("20060102T150405.000000000Z")+".json"), r)
}
