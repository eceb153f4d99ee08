package gateway

import (
	"context"
	"errors"
	"net/http"

	"go.temporal.io/api/serviceerror"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Problem is an error as JSON (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is one of the schemas.Error names, or one of the codes below.
	Code string `json:"code"`
}

// Codes of problems that have no schemas.ErrorType.
const (
	CodeTooMany     = "TooManyRequests"
	codeNoRun       = "NoRun"
	codeNotApplied  = "NotApplied"
	codeUnavailable = "Unavailable"
	codeInternal    = "Internal"
	codeNotFound    = "NotFound"
)

// statuses are the HTTP statuses of refusals; others have 409.
var statuses = map[schemas.ErrorType]int{
	schemas.ErrorProof: http.StatusUnauthorized, schemas.ErrorNotAllowed: http.StatusForbidden,
	schemas.ErrorBadRequest: http.StatusBadRequest, schemas.ErrorBadExport: http.StatusUnprocessableEntity,
	schemas.ErrorUnknownConnection: http.StatusNotFound, schemas.ErrorNotKept: http.StatusNotFound,
	CodeTooMany: http.StatusTooManyRequests, codeNotFound: http.StatusNotFound,
}

// sentinels are errors of package operate that callers look for.
var sentinels = []struct {
	err    error
	code   string
	status int
}{
	{operate.ErrNoRun, codeNoRun, http.StatusNotFound},
	{operate.ErrNotApplied, codeNotApplied, http.StatusNotFound},
	{operate.ErrUnderWay, schemas.ErrorUnderWay, http.StatusConflict},
}

// problemOf returns the problem for an error.
func problemOf(err error) Problem {
	p := Problem{Type: "about:blank", Status: http.StatusInternalServerError, Detail: err.Error(), Code: codeInternal}
	var no *access.Refused
	var away *serviceerror.Unavailable
	switch {
	case errors.As(err, &no):
		p.Code, p.Status = no.Type, http.StatusConflict
		if status, ok := statuses[no.Type]; ok {
			p.Status = status
		}
	case errors.As(err, &away), errors.Is(err, context.DeadlineExceeded), errors.Is(err, access.ErrProvider):
		p.Code, p.Status = codeUnavailable, http.StatusServiceUnavailable
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			p.Code, p.Status = s.code, s.status
		}
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// inside reports whether the problem is in the gateway, not in the request.
func (p Problem) inside() bool { return p.Code == codeInternal || p.Code == codeUnavailable }

// forPerson returns the problem as a person may see it. Problems inside the gateway may name
// hosts and folders, so only administrators see their text.
func (p Problem) forPerson(who schemas.Person) Problem {
	switch {
	case who.Role == schemas.RoleAdministrator || p.Detail == access.ErrProvider.Error():
	case p.Code == codeInternal:
		p.Detail = "the gateway failed; its log says why"
	case p.Code == codeUnavailable:
		p.Detail = "a service that the gateway needs does not answer; its log says why; try again"
	}
	return p
}

// problem is an error from a gateway.
type problem struct {
	Problem
	is error // the matching error of package operate or access, if any
}

func (p *problem) Error() string { return p.Detail }
func (p *problem) Unwrap() error { return p.is }

// Err returns the error that Local would have returned.
func (p Problem) Err() error {
	for _, s := range sentinels {
		if p.Code == s.code {
			return &problem{p, s.err}
		}
	}
	if p.Code == codeInternal || p.Code == codeUnavailable || p.Code == "" {
		return &problem{p, nil}
	}
	return &problem{p, &access.Refused{Type: p.Code, Message: p.Detail}}
}
