package access

import (
	"net/http"
	"time"
)

// SetTransport replaces the transport of Tokens.
func SetTransport(t *Tokens, r http.RoundTripper) { t.client.Transport = r }

// SetClock replaces the clock of Tokens, before the first token.
func SetClock(t *Tokens, now func() time.Time) { t.now = now }

// SetGateClock replaces the clock of a Gate.
func SetGateClock(g *Gate, now func() time.Time) { g.now = now }
