package access

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// keysFresh is how old the issuer's keys may be before they are read again: a
	// key that the issuer has taken back is trusted no longer than that.
	keysFresh = 5 * time.Minute
	// keysStale is how old they may be when reading them again fails.
	keysStale = time.Hour
	// keysPause is the least time between two readings that tokens of unknown keys
	// cause.
	keysPause = 10 * time.Second
	// keysTimeout bounds one reading.
	keysTimeout = 10 * time.Second
	// maxKeys is the most bytes of a key set.
	maxKeys = 1 << 20
	// leastRSA is the fewest bits of an RSA key (NIST SP 800-131A).
	leastRSA = 2048
)

// keySet is an issuer's public keys, read from a URL or a file and read again as
// they grow old.
type keySet struct {
	where string
	read  func(context.Context) ([]byte, error)
	now   func() time.Time

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	readAt time.Time // of keys
	tried  time.Time
}

func newKeySet(where string, client *http.Client, now func() time.Time) (*keySet, error) {
	s := &keySet{where: where, now: now}
	if !strings.Contains(where, "://") {
		s.read = func(context.Context) ([]byte, error) { return readBounded(os.Open(where)) }
		s.mu.Lock()
		defer s.mu.Unlock()
		return s, s.refresh(context.Background())
	}
	u, err := url.Parse(where)
	if err != nil {
		return nil, err
	}
	if !safeURL(u) {
		return nil, fmt.Errorf("%s must be https, since who can change the keys can be anybody", u.Redacted())
	}
	if client == nil {
		client = &http.Client{}
	}
	c := *client
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if !safeURL(r.URL) || len(via) > 3 {
			return fmt.Errorf("%s leads to %s", u.Redacted(), r.URL.Redacted())
		}
		return nil
	}
	s.where = u.Redacted()
	s.read = func(ctx context.Context) ([]byte, error) { return get(ctx, &c, where) }
	return s, nil
}

// safeURL tells whether nobody on the way can change what comes from the URL.
func safeURL(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func get(ctx context.Context, c *http.Client, where string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("it answers %s", answer.Status)
	}
	return readBounded(answer.Body, nil)
}

func readBounded(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxKeys+1))
	if err == nil && len(data) > maxKeys {
		err = fmt.Errorf("it has more than %d bytes", maxKeys)
	}
	return data, err
}

// find gives the keys of an id, or all keys for an empty one.
func (s *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.known(id)
	age, idle := s.now().Sub(s.readAt), s.now().Sub(s.tried)
	if age < keysFresh && len(found) > 0 || !s.readAt.IsZero() && idle < keysPause && age < keysStale {
		return found, nil
	}
	err := s.refresh(ctx)
	if err != nil && s.now().Sub(s.readAt) > keysStale {
		return nil, err
	}
	return s.known(id), nil
}

func (s *keySet) known(id string) []jose.JSONWebKey {
	if id == "" {
		return s.keys
	}
	return (&jose.JSONWebKeySet{Keys: s.keys}).Key(id)
}

// refresh reads the keys again. The caller holds mu.
func (s *keySet) refresh(ctx context.Context) error {
	s.tried = s.now()
	data, err := s.read(ctx)
	if err == nil {
		var keys []jose.JSONWebKey
		if keys, err = parseKeys(data); err == nil {
			s.keys, s.readAt = keys, s.now()
			return nil
		}
	}
	return fmt.Errorf("read the issuer's keys from %s: %w", s.where, err)
}

// parseKeys gives the public keys of a set that signatures can be verified with.
// Others, such as secret ones and those of unknown kinds, are left out.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("it is no JSON Web Key Set: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || !k.Valid() {
			continue
		}
		if k = k.Public(); !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		if r, ok := k.Key.(*rsa.PublicKey); ok && r.N.BitLen() < leastRSA {
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no public key for signatures")
	}
	return keys, nil
}
