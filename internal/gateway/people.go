package gateway

import (
	"context"
	"errors"
	"fmt"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/schemas"
)

func (l *Local) FindPerson(ctx context.Context, in people.FindRequest) (people.Found, error) {
	who, place, err := l.people(ctx, in.Person)
	if err != nil {
		return people.Found{}, err
	}
	out, err := place.Find(ctx, who, in.History)
	if err == nil {
		err = l.audit(ctx, schemas.AuditSearched, schemas.AuditEntry{Details: "for a person"})
	}
	return out, err
}

func (l *Local) ForgetPerson(ctx context.Context, in people.ForgetRequest) (out people.ForgetAnswer, err error) {
	who, place, err := l.people(ctx, in.Person)
	if err != nil {
		return out, err
	}
	if in.Preview {
		if out, err = place.Preview(ctx, who); err != nil {
			return out, err
		}
		return out, l.audit(ctx, schemas.AuditSearched, schemas.AuditEntry{Details: "for a person to remove"})
	}
	// Recorded first: what was deleted can't be searched for any more.
	if err := l.enter(ctx, "", schemas.AuditForgot, schemas.AuditEntry{Details: "a person: began"}); err != nil {
		return out, fmt.Errorf("nothing was removed, since it could not be recorded: %w", err)
	}
	out, err = place.Forget(ctx, who)
	busy := errors.Is(err, people.ErrUnderWay)
	if err != nil { // with what was removed before, which nothing finds again
		out.Interrupted = err.Error()
	}
	if err := l.audit(ctx, schemas.AuditForgot, schemas.AuditEntry{Details: "a person: " + out.Summary()}); err != nil {
		l.Log.Error("end of removal not recorded", "error", err)
		if out.Interrupted == "" {
			out.Interrupted = err.Error()
		}
	}
	if busy {
		return out, access.No(schemas.ErrorUnderWay, "%v", err)
	}
	return out, nil
}

// people returns a person by what was typed, and where to look for them.
func (l *Local) people(ctx context.Context, typed string) (who people.Person, place people.Place, err error) {
	who, ok := people.Parse(typed)
	if !ok {
		return who, place, access.No(schemas.ErrorBadRequest, "name an address or a user ID of at most %d bytes", people.Longest)
	}
	place = people.Place{Project: l.projectType, Log: l.Log}
	place.Root, err = l.Root(ctx)
	return who, place, err
}

// projectType returns the type of a connection's project. known is false if the connection does
// not exist any more.
func (l *Local) projectType(connection string) (projectType string, known bool) {
	all, err := l.Known()
	if err != nil {
		return "", false
	}
	c, err := all.Get(connection)
	return c.ProjectType, err == nil
}
