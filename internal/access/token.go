package access

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"iterable-segment-export/schemas"
)

const (
	// keysFresh is the age at which the provider's keys are read again. A withdrawn key is
	// trusted no longer than that.
	keysFresh = 5 * time.Minute
	// keysStale is the maximum age of the keys while reading them again fails.
	keysStale = time.Hour
	// keysPause is the minimum time between two attempts to read them again.
	keysPause = 10 * time.Second
	// mostReads is how many times the keys may be read at once.
	mostReads = 5
	// maxKeys is the maximum size of the provider's keys in bytes.
	maxKeys = 1 << 20
	// providerTimeout bounds one request to the provider.
	providerTimeout = 10 * time.Second
	// maxToken is the maximum size of a token in bytes. Tokens with several hundred groups
	// have about ten thousand.
	maxToken = 64 << 10
)

// TokenOptions select the accepted tokens, and map their claims to roles.
type TokenOptions struct {
	// Issuer is the URL of the OpenID Connect provider, where its discovery document is;
	// Audience is the audience that a token must have.
	Issuer, Audience string
	// RoleClaim is the name of the claim with the role, or a path such as
	// realm_access.roles.
	RoleClaim string
	// Roles maps values of the claim to roles, in the form of ParseRoles; if it is empty,
	// the values are the names of the roles.
	Roles string
	// NameClaim is the claim with a person's name. If it is empty, the name is the email
	// if the provider has verified it, and otherwise the subject.
	NameClaim string
}

// signatures are the accepted algorithms, all with public keys. Without a list, the maker
// of a token could choose "none", or use the provider's public key as a shared secret.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Tokens verifies tokens. It is safe for concurrent use.
type Tokens struct {
	o      TokenOptions
	client *http.Client
	roles  map[string]schemas.Role // by the claim's value
	now    func() time.Time

	mu     sync.Mutex
	verify *oidc.IDTokenVerifier
}

// NewTokens returns a Tokens. It sends the first request to the provider when the first
// token is verified.
func NewTokens(o TokenOptions) (*Tokens, error) {
	issuer, err := url.Parse(o.Issuer)
	switch {
	case o.Issuer == "" || o.Audience == "":
		return nil, errors.New("AUTH_ISSUER and AUTH_AUDIENCE are both required, to reject tokens of other providers and for other programs")
	case err != nil || !safeURL(issuer):
		return nil, fmt.Errorf("AUTH_ISSUER: %s must be https: without it, an attacker on the network could forge tokens", issuer.Redacted())
	}
	t := &Tokens{o: o, now: time.Now}
	if t.roles, err = ParseRoles(o.Roles); err != nil {
		return nil, fmt.Errorf("AUTH_ROLES: %w", err)
	}
	t.client = &http.Client{Timeout: providerTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if !safeURL(r.URL) || len(via) > 3 {
			return fmt.Errorf("the provider redirects to %s", r.URL.Redacted())
		}
		return nil
	}}
	return t, nil
}

// safeURL reports whether responses from the URL can't be altered on the network.
func safeURL(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()))
}

// verifier returns the verifier of tokens. It reads the provider's discovery document
// once.
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
		return nil, fmt.Errorf("read the discovery document of the identity provider %s: %w", t.o.Issuer, err)
	}
	if u, err := url.Parse(found.Keys); err != nil || !safeURL(u) {
		return nil, fmt.Errorf("the keys of the identity provider %s are at %q, which is not https", t.o.Issuer, found.Keys)
	}
	client := *t.client
	client.Transport = &reads{next: cmp.Or[http.RoundTripper](client.Transport, http.DefaultTransport), now: t.now, limit: rate.NewLimiter(rate.Every(keysPause), mostReads)}
	fresh := func() *oidc.RemoteKeySet {
		return oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), &client), found.Keys)
	}
	t.verify = oidc.NewVerifier(t.o.Issuer, &keys{fresh: fresh, now: t.now}, &oidc.Config{ClientID: t.o.Audience, SupportedSigningAlgs: signatures, Now: t.now})
	return t.verify, nil
}

// ErrProvider is the error while the identity provider can't be reached.
var ErrProvider = errors.New("the identity provider does not answer; try again")

// Person verifies a token and returns its person. The error is a *Refused or wraps ErrProvider.
func (t *Tokens) Person(ctx context.Context, token string) (schemas.Person, error) {
	token = strings.TrimSpace(token)
	if len(token) > maxToken || !forSigningIn(token) {
		return schemas.Person{}, No(schemas.ErrorProof, "the token is not a JWT for signing in, signed with the algorithm of a public key (such as RS256 or ES256)")
	}
	v, err := t.verifier(ctx)
	if err != nil {
		return schemas.Person{}, fmt.Errorf("%w: %w", ErrProvider, err)
	}
	verified, err := v.Verify(ctx, token)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired) && expired.Expiry.Unix() <= 0:
		return schemas.Person{}, No(schemas.ErrorProof, "the token never expires; only tokens with an expiry are accepted")
	case errors.As(err, &expired):
		return schemas.Person{}, No(schemas.ErrorProof, "the token expired at %s; get a new one, such as with starter login", schemas.Moment(expired.Expiry))
	case unfetched(err):
		return schemas.Person{}, fmt.Errorf("%w: %w", ErrProvider, err)
	case err != nil:
		return schemas.Person{}, No(schemas.ErrorProof, "the token is not valid: %s", strings.TrimPrefix(err.Error(), "oidc: "))
	}
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		return schemas.Person{}, No(schemas.ErrorProof, "the token's claims can't be read")
	}
	return t.describe(verified.Subject, claims)
}

// forSigningIn reports whether a token's type is that of an ID or access token, not of a
// logout token, for example (RFC 8725, 3.11). go-oidc does not check the type. It checks
// the algorithm too, before any request to the provider.
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

// keys are the provider's public keys. go-oidc never forgets a key that it has read, so
// the set is replaced regularly in the background.
type keys struct {
	fresh func() *oidc.RemoteKeySet
	now   func() time.Time

	mu   sync.Mutex
	set  *oidc.RemoteKeySet
	read time.Time // when set was read
	next time.Time // when a new set is read
}

// unfetched reports whether the provider's keys could not be read.
func unfetched(err error) bool { return err != nil && strings.Contains(err.Error(), "fetching keys") }

// VerifySignature implements oidc.KeySet. It waits for the provider only if its keys are
// too old.
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

// replace verifies with newly read keys, and keeps them if they could be read.
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

// reads requests the provider's keys. go-oidc does so for every token whose signature does not
// verify, and anyone can send such tokens: the last keys are the answer to requests in excess of
// the limit, unless they are older than keysPause.
type reads struct {
	next  http.RoundTripper
	now   func() time.Time
	limit *rate.Limiter

	mu   sync.Mutex
	keys []byte
	read time.Time
}

func (p *reads) RoundTrip(r *http.Request) (*http.Response, error) {
	now := p.now()
	p.mu.Lock()
	keys, known := p.keys, p.keys != nil && now.Sub(p.read) < keysPause
	p.mu.Unlock()
	switch allowed := p.limit.AllowN(now, 1); {
	case !allowed && !known:
		return nil, errors.New("the keys were asked for too often within a short time")
	case !allowed:
		return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(keys)), Request: r}, nil
	}
	answer, err := p.next.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	defer answer.Body.Close()
	if keys, err = io.ReadAll(http.MaxBytesReader(nil, answer.Body, maxKeys)); err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(keys))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.read = keys, now
	return answer, nil
}

// anyValue matches every value of the role claim, and a token without one.
const anyValue = "*"

// ParseRoles parses the values of a claim for each role, such as
// "administrator=Iterable owners; contributor=Marketing, CRM; viewer=*". In an empty text
// the value of each role is its name.
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
			if !AtLeast(roles[v], role) { // the higher of two roles
				roles[v] = role
			}
		}
	}
	return roles, nil
}

// maxName is the maximum size of a person's name in bytes.
const maxName = 200

func nameable(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (t *Tokens) describe(subject string, claims map[string]any) (schemas.Person, error) {
	p := schemas.Person{Name: subject, Subject: subject}
	if !nameable(subject) {
		return p, No(schemas.ErrorProof, "the token has no valid subject (claim sub)")
	}
	// Many providers let users choose these claims, so a name is used only if the provider
	// has verified it or the administrator has configured the claim.
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
		return p, No(schemas.ErrorNotAllowed, "%s has no role here: the token's claim %q maps to no role; ask for an entry in the worker's AUTH_ROLES", p.Name, t.o.RoleClaim)
	}
	return p, nil
}

// claimValues returns the strings of a claim. It looks for claim as a name first, since
// names can contain dots, and then as a path.
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
