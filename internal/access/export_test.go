package access

import (
	"net/http"
	"time"
)

// SetTransport gives Tokens another way to the provider.
func SetTransport(t *Tokens, r http.RoundTripper) { t.client.Transport = r }

// SetClock gives Tokens another clock, before the first token.
func SetClock(t *Tokens, now func() time.Time) { t.now = now }

// SetGateClock gives a Gate another clock.
func SetGateClock(g *Gate, now func() time.Time) { g.now = now }
