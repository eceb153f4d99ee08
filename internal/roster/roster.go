// Package roster lets the workers of a deployment divide a connection's limit
// among themselves, without a coordinator: whoever sends over the connection
// keeps a small file in the data root that says so, with how many uploads it has
// under way, and looks at the others' files. Feeling for each other by 429s alone
// takes minutes, and leaves some starved (see iterable.Pacer).
//
// A file that has not been renewed for a while is that of a worker that was
// killed, and does not count. Age is measured on the storage's clock alone: every
// worker compares the others' files with the one that it has just written.
package roster

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"sync"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

const (
	// lookEvery is how often a worker renews its file and looks at the others',
	// once it has sent for some seconds; at first it looks more often, because
	// workers often start together. Each time is one small write and one listing,
	// in a bucket about 0.01 $ an hour of sending.
	lookEvery = 3 * time.Second
	firstLook = lookEvery / 16
	// missed is how old a file may be that counts: a few times lookEvery.
	missed = 5 * lookEvery
	// forget is how old a file is when anybody deletes it.
	forget = 10 * time.Minute
	// joinWithin bounds the first look, which an upload waits for.
	joinWithin = 2 * time.Second
)

// Roster is one worker's place among those that send. Its methods may be called
// by several goroutines, and on a nil *Roster, which knows of nobody.
type Roster struct {
	root   *storage.Root
	divide func(connection string, part float64, unsettled time.Duration)
	log    *slog.Logger
	id     string

	mu          sync.Mutex
	connections map[string]*presence
}

// presence is this worker's on one connection.
type presence struct {
	mine, others int // uploads under way
	known        bool
	stop         context.CancelFunc
}

// New makes the roster of a worker. divide is told what part of a connection's
// limit is this worker's, and for how long others may not know it yet.
func New(root *storage.Root, log *slog.Logger, divide func(connection string, part float64, unsettled time.Duration)) *Roster {
	return &Roster{root: root, divide: divide, log: log, id: rand.Text(), connections: map[string]*presence{}}
}

// Join says that this worker sends over the connection, with one upload more than
// before, until leave is called. It returns when it has looked who else sends, or
// in vain tried to for a moment: then the worker goes by the 429s alone.
func (r *Roster) Join(ctx context.Context, connection string) (leave func()) {
	if r == nil {
		return func() {}
	}
	r.mu.Lock()
	p := r.connections[connection]
	if p == nil {
		p = &presence{}
		r.connections[connection] = p
	}
	p.mine++
	first := p.mine == 1
	if !first {
		r.tell(connection, p, false)
	}
	r.mu.Unlock()
	if first {
		r.begin(ctx, connection, p)
	}
	return func() { r.leave(connection, p) }
}

// begin looks for the first time, and goes on looking until the worker has
// nothing to send any more.
func (r *Roster) begin(ctx context.Context, connection string, p *presence) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.mu.Lock()
	p.stop, p.known, p.others = stop, false, 0
	r.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	r.look(within, connection, p)
	go func() {
		for every := firstLook; ; every = min(2*every, lookEvery) {
			select {
			case <-ctx.Done():
				r.remove(connection)
				return
			case <-time.After(every):
				r.look(ctx, connection, p)
			}
		}
	}()
}

func (r *Roster) leave(connection string, p *presence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.mine--; p.mine == 0 {
		p.stop()
		return
	}
	r.tell(connection, p, false)
}

// look renews this worker's file and counts the others' uploads.
func (r *Roster) look(ctx context.Context, connection string, p *presence) {
	r.mu.Lock()
	mine := p.mine
	r.mu.Unlock()
	others, err := r.count(ctx, connection, mine)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("who else sends over the connection can't be seen; the pace goes by the answers alone", "connection", connection, "error", err)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.mine == 0 {
		return
	}
	joined := others > p.others
	changed := !p.known || others != p.others
	p.others, p.known = others, true
	if changed {
		r.tell(connection, p, joined)
	}
}

// tell says what part of the limit is this worker's. The caller holds the lock.
func (r *Roster) tell(connection string, p *presence, joined bool) {
	if !p.known {
		return
	}
	var unsettled time.Duration
	if joined {
		unsettled = 2 * lookEvery
	}
	r.divide(connection, float64(p.mine)/float64(p.mine+p.others), unsettled)
}

// count writes this worker's file, and adds up the uploads of the others.
func (r *Roster) count(ctx context.Context, connection string, mine int) (int, error) {
	dir := schemas.SendersDir(connection)
	own := path.Join(dir, r.id)
	// The storage's listing gives a file's size, so the count is told by the size:
	// no file has to be opened.
	if err := r.root.Write(ctx, own, []byte(strings.Repeat(".", mine))); err != nil {
		return 0, fmt.Errorf("say that this worker sends: %w", err)
	}
	files, err := r.root.List(ctx, dir)
	if err != nil {
		return 0, fmt.Errorf("look who else sends: %w", err)
	}
	var now time.Time
	for _, f := range files {
		if f.Name == own {
			now = f.ModTime
		}
	}
	others := 0
	for _, f := range files {
		switch age := now.Sub(f.ModTime); {
		case f.Name == own:
		case now.IsZero(), age < missed:
			others += int(f.Size)
		case age > forget:
			if err := r.root.DeletePrefix(ctx, f.Name); err != nil {
				return 0, fmt.Errorf("delete the file of a worker that is gone: %w", err)
			}
		}
	}
	return others, nil
}

// remove takes this worker's file away, unless it sends again.
func (r *Roster) remove(connection string) {
	ctx, cancel := context.WithTimeout(context.Background(), joinWithin)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.connections[connection].mine > 0 {
		return
	}
	if err := r.root.DeletePrefix(ctx, path.Join(schemas.SendersDir(connection), r.id)); err != nil {
		r.log.Warn("that this worker has stopped sending is not said; the others notice by themselves", "connection", connection, "error", err)
	}
}
