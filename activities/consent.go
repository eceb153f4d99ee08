package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"time"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/schemas"
)

// apiHost is where a connection leads to. A consent is about that host: that data
// may go to one data centre says nothing of another one.
func apiHost(c schemas.Connection) string {
	address := iterable.Address(c)
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// consent is the record in force for a connection, nil if there is none: the
// newest of what connections.yaml and the data root say.
func (a *Activities) consent(ctx context.Context, c schemas.Connection) (*schemas.ConsentRecord, error) {
	var newest *schemas.ConsentRecord
	if c.Consent != nil {
		newest = &schemas.ConsentRecord{
			Connection: c.Name, Host: apiHost(c), By: c.Consent.AcceptedBy, At: c.Consent.AcceptedAt, Statement: c.Consent.Statement, File: true,
		}
	}
	kept, err := a.Root.List(ctx, schemas.ConsentDir(c.Name))
	if err != nil {
		return nil, fmt.Errorf("look for the consent to connection «%s»: %w", c.Name, err)
	}
	for i := len(kept) - 1; i >= 0; i-- { // the newest first, since names are times
		var r schemas.ConsentRecord
		data, err := a.Root.Read(ctx, kept[i].Name)
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("read the consent to connection «%s» (%s): %w", c.Name, kept[i].Name, err)
		}
		if !r.Withdrawn && r.Host != apiHost(c) {
			continue
		}
		if newest == nil || r.At.After(newest.At) {
			newest = &r
		}
		break
	}
	return newest, nil
}

// agreed gives the error that a run waits with whose connection nobody has agreed
// to, nil if somebody has.
func (a *Activities) agreed(ctx context.Context, c schemas.Connection) error {
	r, err := a.consent(ctx, c)
	switch {
	case err != nil:
		return err
	case r == nil:
		return needOperator(schemas.ErrorNoConsent, fmt.Sprintf(
			"nobody has agreed yet to people's data going to %s over connection «%s»; an administrator does so with: starter connect %s; then retry",
			apiHost(c), c.Name, schemas.ShellWord(c.Name)))
	case r.Withdrawn:
		return needOperator(schemas.ErrorNoConnection, fmt.Sprintf(
			"connection «%s» was disconnected by %s on %s; set another connection for the export and run it again, or have an administrator connect it anew with: starter connect %s; then retry",
			c.Name, r.By, r.At.UTC().Format(time.DateOnly), schemas.ShellWord(c.Name)))
	}
	return nil
}

// recordConsent keeps that the person agrees to the statement. It takes the hash
// of what they have seen, so that nobody agrees to another version's statement.
func (a *Activities) recordConsent(ctx context.Context, who schemas.Person, in schemas.ConsentRequest) (schemas.ConsentRecord, error) {
	c, err := a.known(in.Connection)
	if err != nil {
		return schemas.ConsentRecord{}, err
	}
	if in.Statement != schemas.ConsentStatementSHA256() {
		return schemas.ConsentRecord{}, needOperator(schemas.ErrorNoConsent,
			"the statement that was agreed to is not the worker's; use the starter of the worker's version")
	}
	return a.keepConsent(ctx, schemas.ConsentRecord{
		Connection: c.Name, Host: apiHost(c), By: who.Name, Statement: schemas.ConsentStatement, SHA256: in.Statement,
	})
}

// disconnect withdraws the consent to a connection.
func (a *Activities) disconnect(ctx context.Context, who schemas.Person, in schemas.ConnectionRequest) (schemas.ConsentRecord, error) {
	c, err := a.known(in.Connection)
	if err != nil {
		return schemas.ConsentRecord{}, err
	}
	return a.keepConsent(ctx, schemas.ConsentRecord{Connection: c.Name, Host: apiHost(c), By: who.Name, Withdrawn: true})
}

// keepConsent writes a record beside those before it: that somebody agreed once
// stays on record.
func (a *Activities) keepConsent(ctx context.Context, r schemas.ConsentRecord) (schemas.ConsentRecord, error) {
	r.At = time.Now().UTC()
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return r, err
	}
	return r, a.Root.Write(ctx, path.Join(schemas.ConsentDir(r.Connection), r.At.Format("20060102T150405.000000000Z")+".json"), data)
}

// known gives a connection, or the error that there is none.
func (a *Activities) known(name string) (schemas.Connection, error) {
	c, err := a.Connections.Get(name)
	if err != nil {
		return c, needOperator(schemas.ErrorUnknownConnection, err.Error())
	}
	return c, nil
}

// readJSON decodes a file of the data root into out, and tells whether there is
// one.
func (a *Activities) readJSON(ctx context.Context, key string, out any) (bool, error) {
	data, err := a.Root.Read(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	return true, nil
}
