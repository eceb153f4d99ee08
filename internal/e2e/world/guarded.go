package world

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/gateway/gatewaytest"
	"iterable-segment-export/internal/gateway/remote"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/trigger"
	"iterable-segment-export/schemas"
)

// Guarded is a world whose runs need grants, and whose users use a gateway. The connection
// "sandbox" is shared with contributors. The connection "owners" is not, and is to another
// project.
type Guarded struct {
	*World
	Provider *accesstest.Provider
	Owners   *sandbox.Server
	API      string // the gateway's URL
	Triggers *trigger.Verifier
}

// NewGuarded starts a Guarded with default sandboxes.
func NewGuarded(t *testing.T) Guarded {
	t.Helper()
	return NewGuardedOver(t, sandbox.Config{})
}

// NewGuardedOver is NewGuarded with configured sandboxes.
func NewGuardedOver(t *testing.T, c sandbox.Config) Guarded {
	t.Helper()
	w := New(t, c, false)
	g := Guarded{World: w, Provider: accesstest.New(t), Owners: NewSandbox(t, c)}
	w.Secrets = []string{accesstest.Secret}
	w.Others = strings.Replace(w.Connection("owners", w.Serve(g.Owners), "{}"), "administrators, contributors", "administrators", 1)
	w.WriteConnections("{}")
	w.StartHost()
	g.ServeAPI()
	return g
}

// ServeAPI starts the gateway.
func (g *Guarded) ServeAPI() {
	g.T.Helper()
	g.ServeWith(g.Provider.Issuer, accesstest.Audience)
}

// ServeWith starts the gateway for the tokens of a provider. It checks the gateway's answers
// against its OpenAPI description.
func (g *Guarded) ServeWith(issuer, audience string) {
	g.T.Helper()
	tokens, err := access.NewTokens(access.TokenOptions{Issuer: issuer, Audience: audience, RoleClaim: "roles"})
	if err != nil {
		g.T.Fatal(err)
	}
	office := g.Host.Office()
	office.Temporal = g.Temporal
	server := httptest.NewServer(gatewaytest.Held(g.T, gateway.NewHandler(gateway.Options{
		Office: office, Tokens: tokens, PerSecond: 1000, Burst: 1000, Log: slog.New(slog.DiscardHandler), Triggers: g.Triggers,
		Login: gateway.Login{Issuer: issuer, ClientID: audience, Audience: audience, Scopes: []string{"openid", "profile", "email", "offline_access"}},
	})))
	g.T.Cleanup(server.Close)
	g.API = server.URL
}

// As returns a client of the gateway with a token of that role, or without a token if role is
// empty.
func (g Guarded) As(role schemas.Role) *remote.Client {
	g.T.Helper()
	token := ""
	if role != "" {
		token = g.Provider.Token("the "+role, role)
	}
	c, err := remote.New(g.API, func(context.Context) (string, error) { return token, nil })
	if err != nil {
		g.T.Fatal(err)
	}
	return c
}

// Through runs an export through the gateway to its end, or until it waits.
func (g Guarded) Through(s gateway.Service, in gateway.StartRequest) operate.View {
	g.T.Helper()
	started, err := s.Start(g.T.Context(), in)
	if err != nil {
		g.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(g.T.Context(), Patience)
	defer cancel()
	v, err := s.Watch(ctx, started.Run, true, nil)
	if err != nil {
		g.T.Fatalf("%v; last seen: %+v", err, v)
	}
	return v
}

// Over returns an export over a connection, of the segment of the same name.
func (g Guarded) Over(name, connection string) schemas.Export {
	e := g.Export(name, "EmailAddress")
	e.Connection = connection
	return e
}

// Refuses fails the test unless err is a refusal of that type whose text contains about.
func (g Guarded) Refuses(what string, err error, kind schemas.ErrorType, about string) {
	g.T.Helper()
	if !access.IsRefused(err, kind) || !strings.Contains(err.Error(), about) {
		g.T.Errorf("%s: %v, want a refusal of type %s about %q", what, err, kind, about)
	}
}
