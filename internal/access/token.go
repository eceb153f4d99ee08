package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"

	"iterable-segment-export/schemas"
)

const (
	// keysFresh is how old the provider's keys may be before they are read again: a key
	// that it has withdrawn is trusted no longer than that.
	keysFresh = 5 * time.Minute
	// keysStale is how old they may be while reading them again fails.
	keysStale = time.Hour
	// keysPause is the least time between two attempts to read them again.
	keysPause = 10 * time.Second
	// providerTimeout bounds one request to the provider.
	providerTimeout = 10 * time.Second
	// maxToken is the most bytes of a token. Those with some hundred groups have ten
	// thousand or so.
	maxToken = 64 << 10
)

// TokenOptions say which tokens are good, and what role they give.
type TokenOptions struct {
	// Issuer is the OpenID Connect provider, whose discovery document says where its
	// keys are; Audience is whom a token has to be for.
	Issuer, Audience string
	// RoleClaim is the claim that gives the role: its name, or the path to it such
	// as realm_access.roles.
	RoleClaim string
	// Roles says which values of the claim give which role, as ParseRoles takes it;
	// empty where the values are the roles' names.
	Roles string
	// NameClaim is the claim that a person is called by. Where it is empty, that is the
	// email if the provider has verified it, and else the subject.
	NameClaim string
}

// signatures are the algorithms that tokens may be signed with: those with public
// keys. Without a list, whoever makes a token would choose, and could choose none at
// all, or the provider's public key as a secret.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Tokens finds out whose a token is. It is safe for concurrent use.
type Tokens struct {
	o      TokenOptions
	client *http.Client
	roles  map[string]schemas.Role // by the claim's value
	now    func() time.Time

	mu     sync.Mutex
	verify *oidc.IDTokenVerifier
}

// NewTokens returns a Tokens. The provider is asked for nothing before the first token.
func NewTokens(o TokenOptions) (*Tokens, error) {
	issuer, err := url.Parse(o.Issuer)
	switch {
	case o.Issuer == "" || o.Audience == "":
		return nil, errors.New("AUTH_ISSUER and AUTH_AUDIENCE are both needed: tokens of other providers, and for other programs, are not to be taken")
	case err != nil || !safeURL(issuer):
		return nil, fmt.Errorf("AUTH_ISSUER: %s must be https, since who can change what comes from there can be anybody", issuer.Redacted())
	}
	t := &Tokens{o: o, now: time.Now}
	if t.roles, err = ParseRoles(o.Roles); err != nil {
		return nil, fmt.Errorf("AUTH_ROLES: %w", err)
	}
	t.client = &http.Client{Timeout: providerTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if !safeURL(r.URL) || len(via) > 3 {
			return fmt.Errorf("the provider leads to %s", r.URL.Redacted())
		}
		return nil
	}}
	return t, nil
}

// safeURL reports whether nobody on the way can change what comes from the URL.
func safeURL(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()))
}

// verifier returns what verifies tokens. Once the provider has said where its keys are,
// it is not asked again.
func (t *Tokens) verifier(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.verify != nil {
		return t.verify, nil
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, t.client), t.o.Issuer)
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err == nil {
		err = p.Claims(&found)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the identity provider %s who it is: %w", t.o.Issuer, err)
	}
	if u, err := url.Parse(found.Keys); err != nil || !safeURL(u) {
		return nil, fmt.Errorf("the identity provider %s has its keys at %q, which is not https", t.o.Issuer, found.Keys)
	}
	fresh := func() *oidc.RemoteKeySet {
		return oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), t.client), found.Keys)
	}
	t.verify = oidc.NewVerifier(t.o.Issuer, &keys{fresh: fresh, now: t.now}, &oidc.Config{ClientID: t.o.Audience, SupportedSigningAlgs: signatures, Now: t.now})
	return t.verify, nil
}

// Person verifies a token and returns whose it is. The error is a *Refused, or that the
// provider is out of reach.
func (t *Tokens) Person(ctx context.Context, token string) (schemas.Person, error) {
	token = strings.TrimSpace(token)
	if len(token) > maxToken || !forSigningIn(token) {
		return schemas.Person{}, No(schemas.ErrorProof, "the token is not a JWT for signing in, signed with the algorithm of a public key (such as RS256 or ES256)")
	}
	v, err := t.verifier(ctx)
	if err != nil {
		return schemas.Person{}, err
	}
	verified, err := v.Verify(ctx, token)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired) && expired.Expiry.Unix() <= 0:
		return schemas.Person{}, No(schemas.ErrorProof, "the token never expires; only tokens that do are taken")
	case errors.As(err, &expired):
		return schemas.Person{}, No(schemas.ErrorProof, "the token expired at %s; get a new one, such as with starter login", expired.Expiry.UTC().Format(time.DateTime))
	case unfetched(err):
		return schemas.Person{}, err
	case err != nil:
		return schemas.Person{}, No(schemas.ErrorProof, "the token is not good here: %s", strings.TrimPrefix(err.Error(), "oidc: "))
	}
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		return schemas.Person{}, No(schemas.ErrorProof, "the token's claims can't be read")
	}
	return t.describe(verified.Subject, claims)
}

// forSigningIn reports whether a token says that it is one that says who somebody is,
// and not one for signing out and the like (RFC 8725, 3.11), which go-oidc does not look
// at. Its algorithm is looked at before the provider is asked for anything.
func forSigningIn(token string) bool {
	head, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.DecodeString(head)
	h := struct{ Typ, Alg string }{Typ: "JWT"}
	if err != nil || json.Unmarshal(data, &h) != nil || !slices.Contains(signatures, h.Alg) {
		return false
	}
	kind := strings.TrimPrefix(strings.ToLower(h.Typ), "application/")
	return kind == "jwt" || kind == "at+jwt" || kind == "id+jwt"
}

// keys are the provider's public keys. go-oidc keeps a key for ever once it has read
// it, so the set is replaced by a new one every now and then, beside those who ask.
type keys struct {
	fresh func() *oidc.RemoteKeySet
	now   func() time.Time

	mu   sync.Mutex
	set  *oidc.RemoteKeySet
	read time.Time // when set was read
	next time.Time // when a new one is asked for
}

// unfetched reports whether an error is that the provider's keys could not be read.
func unfetched(err error) bool { return err != nil && strings.Contains(err.Error(), "fetching keys") }

// VerifySignature implements oidc.KeySet. It waits for the provider only where there
// are no keys that are recent enough.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	now := k.now()
	k.mu.Lock()
	set, stale, due := k.set, now.Sub(k.read) > keysStale, now.After(k.next)
	if due {
		k.next = now.Add(keysPause)
	}
	k.mu.Unlock()
	if set == nil || stale {
		return k.replace(ctx, token)
	}
	if due {
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerTimeout)
			defer cancel()
			_, _ = k.replace(ctx, token)
		}()
	}
	return set.VerifySignature(ctx, token)
}

// replace verifies with keys that are read anew, and keeps them if that worked.
func (k *keys) replace(ctx context.Context, token string) ([]byte, error) {
	set, began := k.fresh(), k.now()
	payload, err := set.VerifySignature(ctx, token)
	if !unfetched(err) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.set, k.read, k.next = set, began, began.Add(keysFresh)
	}
	return payload, err
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

// maxName is the most bytes of a person's name.
const maxName = 200

func nameable(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (t *Tokens) describe(subject string, claims map[string]any) (schemas.Person, error) {
	p := schemas.Person{Name: subject, Subject: subject}
	if !nameable(subject) {
		return p, No(schemas.ErrorProof, "the token does not say whose it is (claim sub)")
	}
	// Many providers let people choose these claims themselves, so only one that the
	// provider vouches for, or that the administrator has named, is a name.
	name := t.o.NameClaim
	if verified := claims["email_verified"]; name == "" && (verified == true || verified == "true") {
		name = "email"
	}
	if text, _ := claims[name].(string); nameable(text) {
		p.Name = text
	}
	p.Role = t.roles[anyValue]
	for _, v := range claimValues(claims, t.o.RoleClaim) {
		if role := t.roles[v]; !AtLeast(p.Role, role) && role != "" {
			p.Role = role
		}
	}
	if p.Role == "" {
		return p, No(schemas.ErrorNotAllowed, "%s has no role here: the token's claim %q gives none; ask whoever looks after the worker's AUTH_ROLES", p.Name, t.o.RoleClaim)
	}
	return p, nil
}

// claimValues returns the strings of a claim: of its name as it stands, since names
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
