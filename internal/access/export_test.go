package access

import "time"

// SetClock gives Tokens another clock, before the first token.
func SetClock(t *Tokens, now func() time.Time) { t.now = now }

// SetGateClock gives a Gate another clock.
func SetGateClock(g *Gate, now func() time.Time) { g.now = now }
