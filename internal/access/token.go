package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"iterable-segment-export/schemas"
)

// TokenOptions say which tokens are good, and what role they give.
type TokenOptions struct {
	// JWKS is where the issuer's public keys are: a URL or a file.
	JWKS string
	// Issuer and Audience are what a token has to say of itself.
	Issuer, Audience string
	// RoleClaim is the claim that gives the role: its name, or the path to it such
	// as realm_access.roles.
	RoleClaim string
	// Roles says which values of the claim give which role, as ParseRoles takes it;
	// empty where the values are the roles' names.
	Roles string
	// HTTP reads the keys from a URL; nil for the default.
	HTTP *http.Client
}

// signatures are the algorithms that tokens may be signed with: those with public
// keys. Without a list, whoever makes a token would choose, and could choose none
// at all, or the issuer's public key as a secret.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// tokens reads people's tokens.
type tokens struct {
	o     TokenOptions
	keys  *keySet
	roles map[string]schemas.Role // by the claim's value
	now   func() time.Time
}

func newTokens(o TokenOptions, now func() time.Time) (*tokens, error) {
	if o.Issuer == "" || o.Audience == "" {
		return nil, errors.New("AUTH_JWKS needs AUTH_ISSUER and AUTH_AUDIENCE: tokens of other issuers, and for other programs, are not to be taken")
	}
	t := &tokens{o: o, now: now}
	var err error
	if t.roles, err = ParseRoles(o.Roles); err != nil {
		return nil, fmt.Errorf("AUTH_ROLES: %w", err)
	}
	if t.keys, err = newKeySet(o.JWKS, o.HTTP, now); err != nil {
		return nil, fmt.Errorf("AUTH_JWKS: %w", err)
	}
	return t, nil
}

// anyValue stands for every value of the role claim, and for a token without one.
const anyValue = "*"

// ParseRoles reads which values of a claim give which role, such as
// "administrator=Iterable owners; contributor=Marketing, CRM; viewer=*". An empty
// text gives each role to the value of its name.
func ParseRoles(text string) (map[string]schemas.Role, error) {
	roles := map[string]schemas.Role{}
	if strings.TrimSpace(text) == "" {
		for _, r := range ranks {
			roles[r] = r
		}
		return roles, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		role, values, ok := strings.Cut(part, "=")
		if role = strings.TrimSpace(role); !ok || !slices.Contains(ranks, role) {
			return nil, fmt.Errorf("%q must be ROLE=VALUE,…; the roles are %s", strings.TrimSpace(part), strings.Join(ranks, ", "))
		}
		for v := range strings.SplitSeq(values, ",") {
			if v = strings.TrimSpace(v); v == "" {
				return nil, fmt.Errorf("%q names an empty value", strings.TrimSpace(part))
			}
			if !AtLeast(roles[v], role) { // of two roles the one that may do more
				roles[v] = role
			}
		}
	}
	return roles, nil
}

// person verifies a token and gives whose it is.
func (t *tokens) person(ctx context.Context, token string) (schemas.Person, error) {
	parsed, err := jwt.ParseSigned(strings.TrimSpace(token), signatures)
	if err != nil || len(parsed.Headers) != 1 {
		return schemas.Person{}, no(schemas.ErrorProof, "the token is no JWT that is signed with a public key's algorithm (such as RS256 or ES256)")
	}
	head := parsed.Headers[0]
	if !accepted(head) {
		return schemas.Person{}, no(schemas.ErrorProof, "the token is of a kind that is not for signing in")
	}
	keys, err := t.keys.find(ctx, head.KeyID)
	if err != nil {
		return schemas.Person{}, err
	}
	var claims jwt.Claims
	all := map[string]any{}
	verified := false
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != head.Algorithm {
			continue
		}
		if verified = parsed.Claims(k.Key, &claims, &all) == nil; verified {
			break
		}
		claims, all = jwt.Claims{}, map[string]any{}
	}
	if !verified {
		return schemas.Person{}, no(schemas.ErrorProof, "the token's signature is not of the issuer that this worker trusts")
	}
	if err := t.valid(claims); err != nil {
		return schemas.Person{}, err
	}
	return t.describe(all)
}

// accepted tells whether a token is one that says who somebody is, and not one for
// signing out and the like (RFC 8725, 3.11).
func accepted(h jose.Header) bool {
	kind, ok := h.ExtraHeaders[jose.HeaderType]
	if !ok {
		return true
	}
	name, _ := kind.(string)
	name = strings.TrimPrefix(strings.ToLower(name), "application/")
	return name == "jwt" || name == "at+jwt" || name == "id+jwt"
}

func (t *tokens) valid(c jwt.Claims) error {
	if c.Expiry == nil {
		return no(schemas.ErrorProof, "the token never expires; this worker takes only tokens that do")
	}
	err := c.ValidateWithLeeway(jwt.Expected{
		Issuer: t.o.Issuer, AnyAudience: jwt.Audience{t.o.Audience}, Time: t.now(),
	}, leeway)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrExpired):
		return no(schemas.ErrorProof, "the token expired at %s; get a new one", c.Expiry.Time().UTC().Format(time.DateTime))
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return no(schemas.ErrorProof, "the token is of another issuer than the one that this worker trusts")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return no(schemas.ErrorProof, "the token is for another program (its audience is not this worker's)")
	}
	return no(schemas.ErrorProof, "the token is not valid yet")
}

// nameClaims are the claims that a person's name is taken from, the best first.
var nameClaims = []string{"email", "preferred_username", "upn", "name", "sub"}

// maxName is the most characters of a person's name.
const maxName = 200

func (t *tokens) describe(claims map[string]any) (schemas.Person, error) {
	var p schemas.Person
	for _, c := range nameClaims {
		if name, _ := claims[c].(string); name != "" && len(name) <= maxName && !strings.ContainsFunc(name, notPrintable) {
			p.Name = name
			break
		}
	}
	if p.Name == "" {
		return p, no(schemas.ErrorProof, "the token does not say whose it is (claims %s)", strings.Join(nameClaims, ", "))
	}
	p.Role = t.roles[anyValue]
	for _, v := range claimValues(claims, t.o.RoleClaim) {
		if role := t.roles[v]; !AtLeast(p.Role, role) && role != "" {
			p.Role = role
		}
	}
	if p.Role == "" {
		return p, no(schemas.ErrorNotAllowed, "%s has no role here: the token's claim %q gives none; ask whoever looks after the worker's AUTH_ROLES", p.Name, t.o.RoleClaim)
	}
	return p, nil
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

// claimValues gives the strings of a claim: of its name as it stands, since names
// may have dots in them, or else of the path.
func claimValues(claims map[string]any, claim string) []string {
	v, ok := claims[claim]
	if !ok {
		v = claims
		for name := range strings.SplitSeq(claim, ".") {
			group, _ := v.(map[string]any)
			v = group[name]
		}
	}
	switch v := v.(type) {
	case string:
		if claim == "scope" || claim == "scp" {
			return strings.Fields(v) // a list by RFC 8693
		}
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}
