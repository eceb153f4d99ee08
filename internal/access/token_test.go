package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/schemas"
)

func with(claims map[string]any, more ...any) map[string]any {
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == nil {
			delete(claims, more[i].(string))
		} else {
			claims[more[i].(string)] = more[i+1]
		}
	}
	return claims
}

// TestAcceptedTokens: a person has the name that the provider has verified, and their
// highest role.
func TestAcceptedTokens(t *testing.T) {
	p := accesstest.New(t)
	o := p.Options()
	o.Roles = "administrator=Owners;contributor=Marketing,CRM;viewer=*"
	o.RoleClaim = "realm.groups"
	byGroups, err := access.NewTokens(o)
	if err != nil {
		t.Fatal(err)
	}
	o.NameClaim = "preferred_username"
	byUsername, err := access.NewTokens(o)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(more ...any) string { return p.Sign(with(p.Claims("ann", schemas.RoleContributor), more...), nil) }
	groups := func(all ...string) map[string]any { return map[string]any{"groups": all} }
	for name, c := range map[string]struct {
		tokens *access.Tokens
		token  string
		want   schemas.Person
	}{
		"a role's own name": {p.Tokens(), claims(), schemas.Person{Name: "ann", Subject: "ann", Role: "contributor"}},
		"the highest role":  {byGroups, claims("realm", groups("CRM", "Owners")), schemas.Person{Name: "ann", Subject: "ann", Role: "administrator"}},
		"everybody":         {byGroups, claims("realm", groups("Sales")), schemas.Person{Name: "ann", Subject: "ann", Role: "viewer"}},
		"verified email": {p.Tokens(), claims("email", "ann@example.com", "email_verified", true),
			schemas.Person{Name: "ann@example.com", Subject: "ann", Role: "contributor"}},
		"unverified email": {p.Tokens(), claims("email", "owner@example.com", "email_verified", false, "name", "The Owner", "preferred_username", "owner"),
			schemas.Person{Name: "ann", Subject: "ann", Role: "contributor"}},
		"email without verification":  {p.Tokens(), claims("email", "owner@example.com"), schemas.Person{Name: "ann", Subject: "ann", Role: "contributor"}},
		"escape sequence in an email": {p.Tokens(), claims("email", "a\x1b[2J@example.com", "email_verified", true), schemas.Person{Name: "ann", Subject: "ann", Role: "contributor"}},
		"a claim that was named":      {byUsername, claims("preferred_username", "ann.l"), schemas.Person{Name: "ann.l", Subject: "ann", Role: "viewer"}},
		"several audiences":           {p.Tokens(), claims("aud", []string{"other", accesstest.Audience}), schemas.Person{Name: "ann", Subject: "ann", Role: "contributor"}},
		"an access token":             {p.Tokens(), p.Sign(p.Claims("ann", "viewer"), map[jose.HeaderKey]any{"typ": "at+jwt"}), schemas.Person{Name: "ann", Subject: "ann", Role: "viewer"}},
	} {
		got, err := c.tokens.Person(t.Context(), c.token)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

// TestTokensThatAreRefused: tokens of attackers, of other programs and of other kinds.
func TestTokensThatAreRefused(t *testing.T) {
	p := accesstest.New(t)
	tokens := p.Tokens()
	good := func() map[string]any { return p.Claims("ann", schemas.RoleAdministrator) }
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(key jose.SigningKey) string {
		s, err := jose.NewSigner(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(s).Claims(good()).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	real := strings.Split(p.Token("ann", schemas.RoleViewer), ".")
	for name, c := range map[string]struct{ token, says string }{
		"nothing":               {"", "not a JWT"},
		"no JWT":                {"hunter2", "not a JWT"},
		"too long":              {strings.Repeat("x", 1<<17), "not a JWT"},
		"no algorithm":          {encoded(`{"alg":"none"}`) + "." + real[1] + ".", "not a JWT"},
		"a secret's algorithm":  {signed(jose.SigningKey{Algorithm: jose.HS256, Key: make([]byte, 32)}), "not a JWT"},
		"another key":           {signed(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: stranger, KeyID: "first"}}), "not valid"},
		"an unknown key":        {signed(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: stranger, KeyID: "mine"}}), "not valid"},
		"altered claims":        {real[0] + "." + encoded(`{"sub":"root"}`) + "." + real[2], "not valid"},
		"another issuer":        {p.Sign(with(good(), "iss", "https://other.example"), nil), "different provider"},
		"another program":       {p.Sign(with(good(), "aud", "payroll"), nil), "audience"},
		"another one's subject": {accesstest.New(t).Token("ann", schemas.RoleAdministrator), "not valid"},
		"another one's word":    {accesstest.New(t).Sign(good(), nil), "not valid"},
		"expired":               {p.Sign(with(good(), "exp", time.Now().Add(-30*time.Second).Unix()), nil), "expired"},
		"one that never does":   {p.Sign(with(good(), "exp", nil), nil), "never expires"},
		"one from the future":   {p.Sign(with(good(), "nbf", time.Now().Add(time.Hour).Unix()), nil), "not before"},
		"one for signing out":   {p.Sign(good(), map[jose.HeaderKey]any{"typ": "logout+jwt"}), "not a JWT for signing in"},
		"nobody's":              {p.Sign(with(good(), "sub", nil), nil), "no valid subject"},
		"an unprintable person": {p.Sign(with(good(), "sub", "ann\n"), nil), "no valid subject"},
		"no role":               {p.Sign(with(good(), "roles", []string{"intern"}), nil), "no role here"},
	} {
		_, err := tokens.Person(t.Context(), c.token)
		var no *access.Refused
		if !errors.As(err, &no) || !strings.Contains(no.Message, c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// TestKeysComeAndGo: a withdrawn key is trusted no longer than five minutes and a new one
// at once. While the provider can't be reached, known keys stay trusted.
func TestKeysComeAndGo(t *testing.T) {
	p := accesstest.New(t)
	tokens := p.Tokens()
	now := time.Now()
	access.SetClock(tokens, func() time.Time { return now })
	first := p.Token("ann", schemas.RoleViewer)
	taken := func(token string) bool {
		_, err := tokens.Person(t.Context(), token)
		return err == nil
	}
	if !taken(first) {
		t.Fatal("the first token is refused")
	}
	p.Rotate("second")
	if second := p.Token("ann", schemas.RoleViewer); !taken(second) {
		t.Error("a token of a new key is refused")
	}
	now = now.Add(6 * time.Minute)
	for taken(first) { // in the background the keys are read again
		time.Sleep(time.Millisecond)
	}
	p.Down.Store(true)
	third := p.Token("ann", schemas.RoleViewer)
	now = now.Add(30 * time.Minute)
	if !taken(third) {
		t.Error("a known key is not trusted while the provider is out of reach")
	}
	now = now.Add(20 * time.Minute)
	if !taken(p.Sign(with(p.Claims("ann", schemas.RoleViewer), "exp", now.Add(2*time.Hour).Unix()), nil)) {
		t.Error("a known key is not trusted while the provider is out of reach")
	}
	now = now.Add(20 * time.Minute)
	_, err := tokens.Person(t.Context(), p.Sign(with(p.Claims("ann", schemas.RoleViewer), "exp", now.Add(2*time.Hour).Unix()), nil))
	var no *access.Refused
	if err == nil || errors.As(err, &no) {
		t.Errorf("after an hour without the provider: %v", err)
	}
}

// TestForgedTokensDoNotReachTheProvider: a token whose signature does not verify may be of a new
// key, but whoever sends many makes few requests to the provider.
func TestForgedTokensDoNotReachTheProvider(t *testing.T) {
	p, other := accesstest.New(t), accesstest.New(t)
	tokens, now := p.Tokens(), time.Now()
	access.SetClock(tokens, func() time.Time { return now })
	good := p.Token("ann", schemas.RoleViewer)
	if _, err := tokens.Person(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if i%2 == 0 {
			other.Rotate(fmt.Sprint("key ", i)) // unknown, and otherwise of the same name
		} else {
			other.Rotate("first")
		}
		_, err := tokens.Person(t.Context(), other.Sign(p.Claims("eve", schemas.RoleAdministrator), nil))
		if !access.IsRefused(err, schemas.ErrorProof) {
			t.Fatalf("a forged token: %v", err)
		}
	}
	if n := p.Fetches.Load(); n > 10 {
		t.Errorf("200 forged tokens made %d requests to the provider", n)
	}
	p.Rotate("second")
	now = now.Add(11 * time.Second)
	if _, err := tokens.Person(t.Context(), p.Token("ann", schemas.RoleViewer)); err != nil {
		t.Errorf("a token of a new key: %v", err)
	}
}

// TestForgedTokensDoNotFloodAProviderThatFails: also if it answers with errors, for longer than the
// last keys are an answer.
func TestForgedTokensDoNotFloodAProviderThatFails(t *testing.T) {
	p, other := accesstest.New(t), accesstest.New(t)
	other.Rotate("unknown")
	tokens, now, asked, fails := p.Tokens(), time.Now(), 0, false
	access.SetClock(tokens, func() time.Time { return now })
	access.SetTransport(tokens, transport(func(r *http.Request) (*http.Response, error) {
		if fails {
			asked++
			return nil, errors.New("too many requests")
		}
		return http.DefaultTransport.RoundTrip(r)
	}))
	good := p.Token("ann", schemas.RoleViewer)
	if _, err := tokens.Person(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	fails = true
	now = now.Add(11 * time.Second)
	forged := other.Sign(p.Claims("eve", schemas.RoleAdministrator), nil)
	for range 100 {
		if _, err := tokens.Person(t.Context(), forged); err == nil {
			t.Fatal("a forged token is accepted")
		}
	}
	if asked > 10 {
		t.Errorf("100 forged tokens made %d requests to a provider that fails", asked)
	}
	if _, err := tokens.Person(t.Context(), good); err != nil {
		t.Errorf("a token of a known key: %v", err)
	}
}

// TestAProviderThatHangsHoldsUpNobodyElse: tokens of unknown keys make a request to the
// provider, and tokens of known keys do not wait for it.
func TestAProviderThatHangsHoldsUpNobodyElse(t *testing.T) {
	p := accesstest.New(t)
	hang, release := make(chan struct{}), make(chan struct{})
	fetched := false
	tokens := p.Tokens()
	access.SetTransport(tokens, transport(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/keys") {
			if fetched {
				close(hang)
				<-release
			}
			fetched = true
		}
		return http.DefaultTransport.RoundTrip(r)
	}))
	good := p.Token("ann", schemas.RoleViewer)
	if _, err := tokens.Person(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	p.Rotate("unknown")
	stranger := make(chan error)
	go func() {
		_, err := tokens.Person(t.Context(), p.Token("bob", schemas.RoleViewer))
		stranger <- err
	}()
	<-hang
	for range 100 {
		if _, err := tokens.Person(t.Context(), good); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	if err := <-stranger; err != nil {
		t.Error(err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOptionsThatAreRefused(t *testing.T) {
	for _, o := range []access.TokenOptions{
		{}, {Issuer: "https://id.example"}, {Audience: "x"}, {Issuer: "http://id.example", Audience: "x"},
		{Issuer: "https://id.example", Audience: "x", Roles: "owner=x"}, {Issuer: "https://id.example", Audience: "x", Roles: "viewer="},
	} {
		if _, err := access.NewTokens(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// FuzzTokens: every made-up token is refused, and the error contains no part of it.
func FuzzTokens(f *testing.F) {
	p := accesstest.New(f)
	tokens := p.Tokens()
	f.Add(p.Token("ann", schemas.RoleViewer) + "x")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		who, err := tokens.Person(t.Context(), token)
		if err == nil {
			t.Fatalf("%q is %+v", token, who)
		}
	})
}

func FuzzRoles(f *testing.F) {
	f.Add("administrator=Iterable owners; contributor=Marketing, CRM; viewer=*")
	f.Fuzz(func(t *testing.T, text string) {
		roles, err := access.ParseRoles(text)
		for value, role := range roles {
			if !access.AtLeast(role, schemas.RoleViewer) || strings.TrimSpace(value) != value || err != nil {
				t.Errorf("%q gives %q the role %q, %v", text, value, role, err)
			}
		}
	})
}
