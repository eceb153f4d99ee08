// Package accesstest is an OpenID Connect provider for tests: discovery, keys and
// tokens.
package accesstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// The audience of the provider's tokens, and the secret of a test's workers.
const (
	Audience = "segment-export"
	Secret   = "kGJ5iMlYPuC0yyuK1Z1pD2sMZqS7jLQ1bZ0Y2sXoRmE="
)

// Provider signs tokens.
type Provider struct {
	t testing.TB
	// Issuer is its URL.
	Issuer string
	// Fetches counts the requests for its keys; Down makes it answer all requests with 503.
	Fetches atomic.Int64
	Down    atomic.Bool

	mu  sync.Mutex
	key *ecdsa.PrivateKey
	id  string
}

// New starts a provider with a new key.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t}
	p.Rotate("first")
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		if p.Down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": p.Issuer, "jwks_uri": p.Issuer + "/keys", "authorization_endpoint": p.Issuer + "/auth", "token_endpoint": p.Issuer + "/token",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.Fetches.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: p.id, Use: "sig"}}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

// Rotate replaces the provider's key.
func (p *Provider) Rotate(id string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.id = key, id
}

// Options returns the options that accept the provider's tokens.
func (p *Provider) Options() access.TokenOptions {
	return access.TokenOptions{Issuer: p.Issuer, Audience: Audience, RoleClaim: "roles"}
}

// Tokens returns a Tokens that accepts the provider's tokens.
func (p *Provider) Tokens() *access.Tokens {
	p.t.Helper()
	t, err := access.NewTokens(p.Options())
	if err != nil {
		p.t.Fatal(err)
	}
	return t
}

// Claims returns the claims of a token for a person of that name and role, valid for an
// hour.
func (p *Provider) Claims(name string, role schemas.Role) map[string]any {
	return map[string]any{
		"iss": p.Issuer, "aud": Audience, "sub": name, "roles": []string{role}, "exp": time.Now().Add(time.Hour).Unix(),
	}
}

// Token returns a token for a person of that name and role, valid for an hour.
func (p *Provider) Token(name string, role schemas.Role) string {
	p.t.Helper()
	return p.Sign(p.Claims(name, role), nil)
}

// Sign returns a token with those claims and additional headers.
func (p *Provider) Sign(claims map[string]any, headers map[jose.HeaderKey]any) string {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	o := &jose.SignerOptions{ExtraHeaders: headers}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: p.id}}, o)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}
