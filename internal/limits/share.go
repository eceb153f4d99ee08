package limits

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

const (
	// lookEvery is the time between rounds, in which a worker renews its file and reads the
	// others'. The first is after firstLook, because workers often start together, and each
	// further interval is an eighth longer. A round needs a small write, a listing and a
	// small read for each other worker.
	lookEvery = 3 * time.Second
	firstLook = lookEvery / 6
	// missed is the maximum age of a file that counts, and forget the age at which any worker
	// deletes it.
	missed = 5 * lookEvery
	forget = 10 * time.Minute
	// joinWithin is the time limit of each thing that the first upload waits for: its project
	// and the first round.
	joinWithin = 2 * time.Second
	// saveEvery is how often what was learned is stored, and week how long it counts.
	saveEvery = 30 * time.Second
	week      = 7 * 24 * time.Hour
)

// Stored is the content of a project's limits file, by endpoint.
type Stored struct {
	At     time.Time          `json:"at"`
	Limits map[string]Learned `json:"limits"`
}

// Read returns what the data root knows of the limits of a connection's project. It is empty
// if there is nothing, or nothing less than a week old.
func Read(ctx context.Context, root *storage.Root, connection string) (Stored, error) {
	project, err := projectOf(ctx, root, connection)
	if err != nil {
		return Stored{}, err
	}
	return readLimits(ctx, root, project)
}

func readLimits(ctx context.Context, root *storage.Root, project string) (s Stored, err error) {
	if _, err := root.ReadJSON(ctx, dataroot.LimitsKey(project), &s); err != nil {
		return Stored{}, fmt.Errorf("read the learned limits: %w", err)
	}
	if time.Since(s.At) > week {
		return Stored{}, nil
	}
	return s, nil
}

// note is the content of a worker's file.
type note struct {
	Uploads int                `json:"uploads"`
	Limits  map[string]Learned `json:"limits,omitempty"`
}

// Share is one worker's share in the limits of the projects. It is safe for concurrent
// use. A nil *Share knows no other workers.
type Share struct {
	// Settings returns the limits in the settings of all connections. Nil is for tests with
	// only those that send.
	Settings func() map[string]schemas.Limits

	root     *storage.Root
	registry *Registry
	log      *slog.Logger
	id       string

	tidying atomic.Bool // files of past turns are being deleted

	mu       sync.Mutex
	uploads  map[string]int // in progress, by connection
	projects map[string]*presence
}

// presence is the state of this worker on one project.
type presence struct {
	mine   int // uploads in progress
	others int
	saved  time.Time
	stored map[string]Learned // read, and not yet used
	stop   context.CancelFunc
	looked chan struct{} // closed after the first round
	over   chan struct{} // closed when the rounds have ended
}

// NewShare returns the Share of a worker with the limiters of the registry.
func NewShare(root *storage.Root, registry *Registry, log *slog.Logger) *Share {
	return &Share{root: root, registry: registry, log: log, id: rand.Text(), uploads: map[string]int{}, projects: map[string]*presence{}}
}

// Join announces one more upload of this worker over the connection, until leave is called.
// It returns once the worker has read the other workers' files and the stored limits, or after
// twice joinWithin: then the rate depends only on the answers. The last leave stores what was
// learned.
func (s *Share) Join(ctx context.Context, connection string) (leave func()) {
	if s == nil {
		return func() {}
	}
	found := s.project(ctx, connection)
	s.mu.Lock()
	if s.uploads[connection]++; s.uploads[connection] == 1 { // uploads in progress keep theirs
		s.registry.assign(connection, found)
	}
	project := s.registry.lastProject(connection)
	p := s.projects[project]
	if p == nil {
		p = &presence{}
		s.projects[project] = p
	}
	p.mine++
	first := p.mine == 1
	if first {
		p.looked = make(chan struct{})
	}
	looked := p.looked
	s.mu.Unlock()
	if first {
		s.begin(project, p)
		close(looked)
	}
	select {
	case <-looked:
	case <-ctx.Done():
	}
	return func() {
		s.mu.Lock()
		s.uploads[connection]--
		p.mine--
		last, over := p.mine == 0, p.over
		if last {
			p.stop()
		}
		s.mu.Unlock()
		if last { // the report and the next run need what was learned
			<-over
		}
	}
}

// begin does the first round, and starts further ones until the worker has no uploads left.
// They outlive the first upload, so they don't use its context, whose lease on the data root
// ends with it.
func (s *Share) begin(project string, p *presence) {
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	s.mu.Lock()
	p.stop, p.over, p.others, p.saved = stop, over, 0, time.Now()
	s.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	stored, err := readLimits(within, s.root, project)
	if err != nil {
		s.log.Warn("learned limits unreadable; learning them again", "project", project, "error", err)
	}
	s.registry.remember(project, stored.Limits)
	s.declare(within, project)
	s.mu.Lock()
	p.stored = stored.Limits
	s.mu.Unlock()
	s.look(within, project, p)
	overloads := s.registry.overloads(project)
	go func() {
		defer close(over)
		for every := firstLook; ; every = min(every*9/8, lookEvery) {
			select {
			case <-ctx.Done():
				s.end(project, p)
				return
			case <-overloads: // within firstPause the others know the rate, and this worker theirs
				every = firstLook
				s.look(ctx, project, p)
			case <-time.After(every):
				s.look(ctx, project, p)
			}
		}
	}()
}

// look does a round: it renews this worker's file, reads the others' and divides the limits.
func (s *Share) look(ctx context.Context, project string, p *presence) {
	s.mu.Lock()
	mine := note{Uploads: p.mine, Limits: s.learned(project, (*Limiter).Learned)}
	before, save, stored := p.others, time.Since(p.saved) >= saveEvery, p.stored
	s.mu.Unlock()
	others, first, err := s.exchange(ctx, project, mine)
	if err == nil && save {
		err = s.save(ctx, project, p)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("other senders unknown; pacing by answers alone", "project", project, "error", err)
		}
		return
	}
	total, earlier := mine.Uploads, 0
	for i, o := range others {
		total += o.Uploads
		if i < first {
			earlier += o.Uploads
		}
	}
	mineOf := part{float64(mine.Uploads) / float64(max(1, total)), float64(earlier) / float64(max(1, total))}
	s.registry.divide(project, mineOf, len(others) > before, func(endpoint string) (known []Learned) {
		for _, o := range append(slices.Clip(others), note{Limits: stored}) {
			if x, ok := o.Limits[endpoint]; ok {
				known = append(known, x)
			}
		}
		return known
	})
	s.mu.Lock()
	p.others, p.stored = len(others), nil
	s.mu.Unlock()
}

// learned returns what this worker's limiters of a project know, by endpoint.
func (s *Share) learned(project string, of func(*Limiter) Learned) map[string]Learned {
	known := map[string]Learned{}
	for endpoint, l := range s.registry.of(project) {
		known[endpoint] = of(l)
	}
	return known
}

// exchange writes this worker's note and reads those of the others. first is the number of
// others whose names sort before this worker's.
func (s *Share) exchange(ctx context.Context, project string, mine note) (others []note, first int, err error) {
	dir := dataroot.SendersDir(project)
	own := path.Join(dir, s.id)
	data, err := json.Marshal(mine)
	if err != nil {
		return nil, 0, err
	}
	if err := s.root.Write(ctx, own, data); err != nil {
		return nil, 0, fmt.Errorf("announce that this worker sends: %w", err)
	}
	files, err := s.root.List(ctx, dir)
	if err != nil {
		return nil, 0, fmt.Errorf("list the workers that send: %w", err)
	}
	i := slices.IndexFunc(files, func(f storage.Object) bool { return f.Name == own })
	if i < 0 {
		return nil, 0, errors.New("list the workers that send: this worker's own file is missing")
	}
	now := files[i].ModTime
	for _, f := range files {
		switch age := now.Sub(f.ModTime); {
		case f.Name == own:
		case age < missed:
			var o note
			data, err := s.root.Read(ctx, f.Name)
			if err != nil || json.Unmarshal(data, &o) != nil {
				continue // it was just deleted
			}
			others = append(others, o)
			if strings.Compare(f.Name, own) < 0 {
				first++
			}
		case age > forget:
			if err := s.root.DeletePrefix(ctx, f.Name); err != nil {
				return nil, 0, fmt.Errorf("delete the file of a stopped worker: %w", err)
			}
		}
	}
	return others, first, nil
}

// save stores what this worker has learned, beside what is stored of endpoints that it does
// not use.
func (s *Share) save(ctx context.Context, project string, p *presence) error {
	stored, err := readLimits(ctx, s.root, project)
	if err != nil {
		s.log.Warn("learned limits unreadable; storing them again", "project", project, "error", err)
	}
	known := maps.Clone(stored.Limits)
	if known == nil {
		known = map[string]Learned{}
	}
	maps.Copy(known, s.learned(project, (*Limiter).remembered))
	data, err := json.Marshal(Stored{At: time.Now().UTC(), Limits: known})
	if err != nil {
		return err
	}
	s.mu.Lock()
	p.saved = time.Now()
	s.mu.Unlock()
	if err := s.root.Write(ctx, dataroot.LimitsKey(project), data); err != nil {
		return fmt.Errorf("store the learned limits: %w", err)
	}
	return nil
}

// end stores what was learned and removes this worker's file, unless it sends again.
func (s *Share) end(project string, p *presence) {
	ctx, cancel := context.WithTimeout(context.Background(), joinWithin)
	defer cancel()
	s.mu.Lock()
	again := p.mine > 0
	s.mu.Unlock()
	err := s.save(ctx, project, p)
	if !again {
		err = errors.Join(err, s.root.DeletePrefix(ctx, path.Join(dataroot.SendersDir(project), s.id)))
	}
	if err != nil {
		s.log.Warn("end of sending not announced; other workers will notice when the entry expires", "project", project, "error", err)
	}
}
