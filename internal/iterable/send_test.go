package iterable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iterable-segment-export/schemas"
)

// send waits for a turn and sends one profile.
func (c *Client) send(ctx context.Context, e Endpoint, body []byte, young func() bool, observe func(error)) (Result, error) {
	turn, err := c.Turn(ctx, e)
	if err != nil {
		return Result{}, err
	}
	return c.Send(ctx, turn, Request{Endpoint: e, Body: body, Profiles: 1, Young: young, Observe: observe})
}

// hostile are answers with personal data in every text.
var hostile = []string{
	`{"msg":"bad address ann@example.com","code":"ann@example.com","params":{"email":"ann@example.com","userId":"user-4711"}}`,
	`{"msg":"ann@example.com","code":"BadParams","params":{"ann@example.com":1}}`,
	`<html>ann@example.com user-4711</html>`,
	`ann@example.com`,
}

func TestErrorsNameNobody(t *testing.T) {
	for _, status := range []int{200, 302, 400, 401, 403, 404, 409, 413, 429, 500, 599, 799} {
		for _, body := range hostile {
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://other.example/?email=ann@example.com")
				w.Header().Set("Retry-After", "ann@example.com")
				w.WriteHeader(status)
				io.WriteString(w, body)
			})
			_, err := c.Subscribe(t.Context(), []byte(`{"subscribers":[{"email":"ann@example.com","userId":"user-4711"}]}`))
			if err == nil {
				t.Fatalf("%d %s: no error", status, body)
			}
			mustNameNobody(t, err)
			_, err = c.CheckKey(t.Context())
			mustNameNobody(t, err)
		}
	}
}

func mustNameNobody(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, secret := range []string{"ann", "example.com", "4711", testKey, "secret"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q holds %q", err, secret)
			}
		}
	}
}

func TestNetworkFailuresAreTransientAndNameNobody(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"closed without an answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"successCount":1,"ann@example.com`)
		},
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			io.WriteString(conn, "ann@example.com ann@example.com\r\n\r\n")
			conn.Close()
		},
		"bad header": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nann@example.com\r\n\r\n")
			conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, handler)
			_, err := c.Subscribe(t.Context(), []byte(`{}`))
			if ClassOf(err) != Transient {
				t.Errorf("got %v, want Transient", err)
			}
			mustNameNobody(t, err)
		})
	}
}

func TestSendGoesOnUntilTaken(t *testing.T) {
	answers := []func(http.ResponseWriter){
		func(w http.ResponseWriter) { w.Header().Set("Retry-After", "1"); w.WriteHeader(429) },
		func(w http.ResponseWriter) { w.WriteHeader(503) },
		func(w http.ResponseWriter) { io.WriteString(w, `{"succ`) },
		func(w http.ResponseWriter) { io.WriteString(w, `{"successCount":1,"failCount":0}`) },
	}
	var n atomic.Int32
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answers[n.Add(1)-1](w) })
	var seen []Class
	r, err := c.send(t.Context(), Subscribe, []byte(`{}`), old, func(err error) { seen = append(seen, ClassOf(err)) })
	if err != nil || r.SuccessCount != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if want := []Class{Throttled, Transient, Transient, ""}; !equal(seen, want) {
		t.Errorf("attempts %q, want %q", seen, want)
	}
	if l := c.Limiter(Subscribe).Learned(); l.Changes != 1 || !l.Found {
		t.Errorf("learned %+v", l)
	}
}

func equal(a, b []Class) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestSendReturnsWhatNoRetryCures(t *testing.T) {
	for status, want := range map[int]Class{400: BadRequest, 401: KeyRejected, 403: Forbidden, 404: NotFound, 413: TooLarge, 302: Unexpected} {
		var n atomic.Int32
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { n.Add(1); w.WriteHeader(status) })
		if _, err := c.send(t.Context(), Unsubscribe, []byte(`{}`), old, nil); ClassOf(err) != want || n.Load() != 1 {
			t.Errorf("%d: %v after %d requests", status, err, n.Load())
		}
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	tries := 0
	_, err := c.send(ctx, Subscribe, []byte(`{}`), old, func(error) {
		if tries++; tries == 20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || tries != 20 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// TestACancelledSendWaitsForItsAnswer, so that its outcome is known, for a limited time.
func TestACancelledSendWaitsForItsAnswer(t *testing.T) {
	var silent atomic.Bool
	reached := make(chan struct{}, 1)
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the server notices the client's leaving only then
		reached <- struct{}{}
		if silent.Load() {
			<-r.Context().Done()
			return
		}
		time.Sleep(50 * time.Millisecond)
		io.WriteString(w, `{"successCount":1}`)
	})
	send := func() (Result, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-reached; cancel() }()
		return c.send(ctx, Subscribe, []byte(`{}`), old, nil)
	}
	if r, err := send(); err != nil || r.SuccessCount != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	silent.Store(true)
	hasty := *c
	hasty.grace = 50 * time.Millisecond
	c = &hasty
	if _, err := send(); !errors.Is(err, context.Canceled) {
		t.Errorf("without an answer: %v", err)
	}
}

func TestReadsAreTriedAFewTimes(t *testing.T) {
	var n atomic.Int32
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < readTries {
			w.WriteHeader(500)
			return
		}
		io.WriteString(w, `{"fields":{"a":"string"}}`)
	})
	if fields, err := c.Fields(t.Context()); len(fields) != 1 || err != nil {
		t.Errorf("%v, %v", fields, err)
	}
	n.Store(-100)
	if _, err := c.Fields(t.Context()); ClassOf(err) != Transient || n.Load() != -100+readTries {
		t.Errorf("%v after %d tries", err, n.Load()+100)
	}
	// Making a list twice would leave two.
	n.Store(-100)
	if _, err := c.CreateList(t.Context(), "a", ""); ClassOf(err) != Transient || n.Load() != -99 {
		t.Errorf("%v after %d tries", err, n.Load()+100)
	}
}

// old is the age of a list that is not new.
func old() bool { return false }

// A list that was just made is not known for a while; one that is older is gone.
func TestAListThatIsNotKnown(t *testing.T) {
	var n atomic.Int32
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 9 {
			w.WriteHeader(400)
			io.WriteString(w, `{"msg":"error.lists.invalidListId(7)","code":"Success","params":{"listId":7}}`)
			return
		}
		io.WriteString(w, `{"successCount":1,"failCount":0}`)
	})
	said := map[string]bool{}
	heard := func(err error) {
		if err != nil {
			said[err.Error()] = true
		}
	}
	if r, err := c.send(t.Context(), Subscribe, []byte(`{}`), func() bool { return true }, heard); r.SuccessCount != 1 || err != nil || n.Load() != 9 {
		t.Errorf("a new list: %+v, %v after %d requests", r, err, n.Load())
	}
	if want := "Iterable, POST /api/lists/subscribe: Iterable does not know the new list yet; it is asked again by itself"; len(said) != 1 || !said[want] {
		t.Errorf("a new list: said %v, want %s", said, want)
	}
	n.Store(0)
	_, err := c.send(t.Context(), Subscribe, []byte(`{}`), old, nil)
	var e *Error
	if !errors.As(err, &e) || e.Class != UnknownList || e.Type() != schemas.ErrorListGone || n.Load() != 1 || !strings.Contains(err.Error(), "the list is gone in Iterable") {
		t.Errorf("an old list: %v after %d requests", err, n.Load())
	}
}

// roundTripper is the end of a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// However long Iterable does not know a new list, the request succeeds soon after that, with few
// requests. The bounds are those of the shortest and the longest pauses.
func TestANewListIsKnownAfterAnyTime(t *testing.T) {
	for seconds := range 31 {
		t.Run(fmt.Sprint(seconds, "s"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				known, requests := time.Now().Add(time.Duration(seconds)*time.Second), 0
				c, err := New(Options{BaseURL: US, Key: func() (string, error) { return testKey, nil }, HTTP: &http.Client{
					Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						requests++
						status, body := http.StatusOK, `{"successCount":1,"failCount":0}`
						if time.Now().Before(known) {
							status, body = http.StatusBadRequest, `{"msg":"error.lists.invalidListId(7)","code":"Success","params":{"listId":7}}`
						}
						return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
					}),
				}})
				if err != nil {
					t.Fatal(err)
				}
				r, err := c.send(t.Context(), Subscribe, []byte(`{}`), func() bool { return true }, nil)
				if err != nil || r.SuccessCount != 1 {
					t.Fatalf("%+v, %v", r, err)
				}
				within, most := 3*time.Second, min(18, 5+seconds)
				if seconds > 21 { // later pauses may be longer
					within = longestPause
				}
				if late := time.Since(known); late > within || requests > most {
					t.Errorf("%v late, want at most %v; %d requests, want at most %d", late, within, requests, most)
				}
			})
		})
	}
}

// What a production client saw (iterable-go). The value is personal data.
func TestAMismatchNamesTheField(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, `{"msg":"…","code":"RequestFieldsTypesMismatched","params":{"validationErrors":{"age":{"incomingTypes":["string","keyword"],`+
			`"expectedType":"long","category":"user","offendingValue":"ann@example.com"}}}}`)
	})
	_, err := c.Subscribe(t.Context(), nil)
	var e *Error
	if !errors.As(err, &e) || !reflect.DeepEqual(e.Mismatches, []Mismatch{{"age", "long", "string, keyword"}}) || strings.Contains(err.Error(), "ann") {
		t.Errorf("%v: %+v", err, e)
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	for _, longest := range []time.Duration{longestPause, newListPause} {
		for failures := range 100 {
			whole := min(firstPause<<min(failures, 10), longest)
			for range 50 {
				if d := backoff(failures, longest); d < whole/2 || d > whole {
					t.Fatalf("after %d failures %s, want %s to %s", failures, d, whole/2, whole)
				}
			}
		}
	}
}
