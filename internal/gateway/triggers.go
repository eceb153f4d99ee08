package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/trigger"
	"iterable-segment-export/schemas"
)

const (
	// appliedFresh is how old the list of exports may be with which events are compared.
	appliedFresh = 15 * time.Second
	// together is how long the gateway waits for more events before it signals a workflow.
	together = 200 * time.Millisecond
	// betweenLists is the least time between two looks at that list for events of places
	// where no export reads.
	betweenLists = time.Second
	// tellAtOnce is how many workflows are signaled concurrently for one event.
	tellAtOnce = 32
	// mostSeen is how many IDs of messages are remembered, twice.
	mostSeen = 10_000
)

// News is the answer to an event: the exports that were told of it.
type News struct {
	Exports []Told `json:"exports"`
}

// Told is a workflow that collects the news of an export, and will start a run.
type Told struct {
	Export     string `json:"export"`
	WorkflowID string `json:"workflowId"`
	RunID      string `json:"runId"`
}

// SignedStart is what a program signs to start a run: without the export's name in it, the
// signature would be good for every export.
type SignedStart struct {
	Export string `json:"export"`
}

// Validation is the answer to Event Grid's question whether this endpoint expects events.
type Validation struct {
	ValidationResponse string `json:"validationResponse"`
}

// triggers is what a Handler needs for requests of programs that have no identity token.
type triggers struct {
	o *Options

	signals singleflight.Group

	listing sync.Mutex
	applied []operate.Applied
	read    time.Time // when the reading began

	mu        sync.Mutex
	seen, old map[string]string // what messages were for, by their senders and IDs
}

// Trigger starts a run of an applied export for a program that has signed its request, or
// returns the run that the same message has started. The run has the rights of the person
// who has applied the export.
func (o *Office) Trigger(ctx context.Context, export, by, message string) (out Started, err error) {
	reader := o.As(schemas.Person{}).reader()
	a, err := reader.AppliedExport(ctx, export)
	if err != nil {
		return out, err
	}
	if a.Paused {
		return out, access.No(schemas.ErrorConflict, "export %q is paused; resume it with: starter resume %s", export, schemas.ShellWord(export))
	}
	if err := o.As(schemas.Person{}).trusted(ctx, export, a); err != nil {
		return out, err
	}
	var who schemas.Person
	if a.Grant != nil {
		who = a.Grant.Person
	}
	op, err := o.As(who).session(ctx)
	if err != nil {
		return out, err
	}
	op.By, op.AwaitData = by, true
	op.Key = startKey(schemas.Person{Subject: "trigger", Name: by}, StartRequest{Export: export, Key: message})
	out.Run, out.Joined, err = op.Run(ctx, a.Export, false)
	return out, err
}

// handle serves a request that one of the triggers makes: it reads the body, has do answer,
// and logs who asked. do returns the name of the sender.
func (h *Handler) handle(name string, do func(w http.ResponseWriter, r *http.Request, body []byte) (who string, err error)) http.HandlerFunc {
	return func(to http.ResponseWriter, r *http.Request) {
		w := &recorder{ResponseWriter: to, status: http.StatusOK}
		began := time.Now()
		ctx, cancel := context.WithTimeout(r.Context(), h.answer)
		defer cancel()
		r = r.WithContext(ctx)
		who := ""
		body, err := bodyOf(w, r)
		switch {
		case err != nil:
		case h.o.Triggers == nil:
			err = access.No(schemas.ErrorProof, "this gateway accepts no signed requests and no events")
		default:
			who, err = do(w, r, body)
		}
		if err != nil {
			p := problemOf(err)
			if p.inside() {
				h.o.Log.Error("operation failed", "operation", name, "error", err)
				p = p.forPerson(schemas.Person{})
			}
			fail(w, p)
		}
		h.o.Log.Info("operation done", "operation", name, "who", who, "status", w.status, "took", time.Since(began).String())
	}
}

// signed serves triggerRun for a request that is signed by the Standard Webhooks
// specification.
func (h *Handler) signed(w http.ResponseWriter, r *http.Request, body []byte) (string, error) {
	who, message, err := h.o.Triggers.Webhook(r.Header, body)
	if err != nil {
		return who, err
	}
	export := r.PathValue("export")
	var in SignedStart
	if json.Unmarshal(body, &in) != nil || in.Export != export {
		return who, access.No(schemas.ErrorBadRequest, "the signed body must name the export that the address names, such as {\"export\": %q}", export)
	}
	id := messageID(who, message)
	if _, err := h.triggers.known(id, export); err != nil {
		return who, err
	}
	started, err := h.o.Office.Trigger(r.Context(), export, who, message)
	if err != nil {
		return who, err
	}
	h.triggers.keep(id, export)
	return who, writeJSON(w, http.StatusAccepted, started)
}

// event serves an event of a storage service.
func (h *Handler) event(w http.ResponseWriter, r *http.Request, body []byte) (string, error) {
	from, m, err := h.o.Triggers.Event(r, body)
	switch {
	case err != nil:
		return from, err
	case m.Validation != "":
		return from, writeJSON(w, http.StatusOK, Validation{m.Validation})
	case m.Confirm != "":
		if err := h.o.Triggers.Confirm(r.Context(), m.Confirm); err != nil {
			return from, err
		}
		return from, writeJSON(w, http.StatusAccepted, News{Exports: []Told{}})
	}
	news := News{Exports: []Told{}}
	id := messageID(from, m.ID)
	again, err := h.triggers.known(id, "")
	if err != nil {
		return from, err
	}
	if again {
		return from, writeJSON(w, http.StatusAccepted, news)
	}
	if news.Exports, err = h.triggers.news(r.Context(), m.Objects, from); err != nil {
		return from, err // the sender tries again
	}
	h.triggers.keep(id, "")
	return from, writeJSON(w, http.StatusAccepted, news)
}

// handshake answers the question of CloudEvents' senders whether they may send here
// (github.com/cloudevents/spec, http-webhook.md).
func (h *Handler) handshake(w http.ResponseWriter, r *http.Request, _ []byte) (string, error) {
	if err := h.o.Triggers.Grid(r); err != nil {
		return trigger.EventGrid, err
	}
	if origin := r.Header.Get("WebHook-Request-Origin"); origin != "" && len(origin) <= maxKey {
		w.Header().Set("WebHook-Allowed-Origin", origin)
		w.Header().Set("WebHook-Allowed-Rate", "*")
	}
	w.WriteHeader(http.StatusOK)
	return trigger.EventGrid, nil
}

// messageID returns by what a message is remembered. The sender chooses the ID, which may be long.
func messageID(sender, id string) string {
	sum := sha256.Sum256([]byte(sender + "\x00" + id))
	return string(sum[:])
}

// known reports whether a message has been answered. It refuses an ID that was used for
// another export, or for an event and a start; export is empty for an event.
func (t *triggers) known(id, export string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.seen[id]
	if !ok {
		was, ok = t.old[id]
	}
	if ok && was != export {
		return false, access.No(schemas.ErrorBadRequest, "the ID of the message was used for another one; use a new ID for each message")
	}
	return ok, nil
}

// keep remembers a message that was answered.
func (t *triggers) keep(id, export string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil || len(t.seen) >= mostSeen {
		t.seen, t.old = map[string]string{}, t.seen
	}
	t.seen[id] = export
}

// news tells the exports that may read one of the objects, and returns those that were told.
func (t *triggers) news(ctx context.Context, objects []string, from string) ([]Told, error) {
	exports, err := t.readers(ctx, objects)
	if err != nil {
		return nil, err
	}
	told, err := t.tellAll(ctx, exports, from)
	if err != nil || len(told) == len(exports) {
		return told, err
	}
	// One was paused or removed since they were listed. What is after it starts by itself now.
	applied, _, err := t.exports(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	more, err := t.tellAll(ctx, slices.DeleteFunc(reading(applied, objects), func(name string) bool { return slices.Contains(exports, name) }), from)
	return append(told, more...), err
}

// readers returns the names of the exports that may read one of the objects. It returns none
// only if there was none after it was called.
func (t *triggers) readers(ctx context.Context, objects []string) ([]string, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	began := time.Now()
	applied, read, err := t.exports(ctx, began.Add(-appliedFresh))
	if err != nil {
		return nil, err
	}
	found := reading(applied, objects)
	if len(found) > 0 || !read.Before(began) {
		return found, nil
	}
	select {
	case <-time.After(time.Until(read.Add(betweenLists))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	applied, _, err = t.exports(ctx, began)
	return reading(applied, objects), err
}

// reading returns the names of the applied exports that may read one of the objects. It leaves
// out what is after another one of them: the end of that one's run starts it. A paused export
// starts nothing that is after it, and neither does one that does not know of it.
func reading(applied []operate.Applied, objects []string) (found []string) {
	reads, upstream := map[string]bool{}, map[string][]string{}
	for _, a := range applied {
		if a.Paused {
			continue
		}
		for _, follower := range a.Followers {
			upstream[follower] = append(upstream[follower], a.Export.Name)
		}
		reads[a.Export.Name] = slices.ContainsFunc(a.Export.Segments, func(s schemas.Segment) bool {
			return slices.ContainsFunc(objects, func(o string) bool { return storage.Reads(s.Source, o) })
		})
	}
	follows := func(name string) bool {
		seen := map[string]bool{name: true}
		for ups := slices.Clone(upstream[name]); len(ups) > 0; ups = ups[1:] {
			up := ups[0]
			if seen[up] {
				continue
			}
			if reads[up] {
				return true
			}
			seen[up] = true
			ups = append(ups, upstream[up]...)
		}
		return false
	}
	for _, a := range applied {
		if reads[a.Export.Name] && !follows(a.Export.Name) {
			found = append(found, a.Export.Name)
		}
	}
	return found
}

// exports returns the applied exports as they were at some time after since, and that time.
func (t *triggers) exports(ctx context.Context, since time.Time) ([]operate.Applied, time.Time, error) {
	t.listing.Lock()
	defer t.listing.Unlock()
	if !t.read.Before(since) {
		return t.applied, t.read, nil
	}
	at := time.Now()
	applied, err := t.o.Office.As(schemas.Person{}).reader().Applied(ctx)
	if err == nil {
		t.applied, t.read = applied, at
	}
	return applied, at, err
}

// tellAll tells the workflows of exports that there is news, and returns those that were
// told.
func (t *triggers) tellAll(ctx context.Context, exports []string, from string) ([]Told, error) {
	told := make([]Told, len(exports))
	var group errgroup.Group
	group.SetLimit(tellAtOnce)
	for i, e := range exports {
		group.Go(func() (err error) {
			told[i], err = t.tell(ctx, e, from)
			return err
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(told, func(t Told) bool { return t.RunID == "" }), err
}

// tell tells the workflow of an export that there is news. Events that come together are
// one signal. It returns nothing for an export that was paused or removed meanwhile.
func (t *triggers) tell(ctx context.Context, export, from string) (Told, error) {
	told, err, _ := t.signals.Do(export, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
		defer cancel()
		select {
		case <-time.After(together):
		case <-ctx.Done():
		}
		t.signals.Forget(export) // what comes from now on may be newer than the signal
		o := t.o.Office.As(schemas.Person{}).reader()
		a, err := o.AppliedExport(ctx, export)
		switch {
		case errors.Is(err, operate.ErrNotApplied), err == nil && a.Paused:
			return Told{}, nil
		case err != nil:
			return Told{}, err
		}
		run, err := o.News(ctx, a, from)
		return Told{Export: export, WorkflowID: run.WorkflowID, RunID: run.RunID}, err
	})
	if err != nil {
		return Told{}, err
	}
	return told.(Told), nil
}
