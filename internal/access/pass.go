package access

import (
	"crypto/sha256"
	"encoding/json"

	"iterable-segment-export/schemas"
)

// Part is one segment's part of a run, as its activities work on it.
type Part struct {
	Export     schemas.Export // with Segments left out
	Segment    schemas.Segment
	Connection schemas.ConnectionInfo
}

func (p Part) sum() ([]byte, error) {
	data, err := json.Marshal(p)
	sum := sha256.Sum256(data)
	return sum[:], err
}

// passed is what a pass's MAC is over.
type passed struct {
	Run        schemas.RunRef `json:"run"` // without the pass
	Connection string         `json:"connection"`
	Part       []byte         `json:"part"`
	Check      bool           `json:"check"`
}

// Pass lets the activities of one segment's part of a run do their work; nil where
// nothing wants one. With check it lets them change nothing.
func (g *Gate) Pass(run schemas.RunRef, p Part, check bool) (*schemas.Pass, error) {
	if g == nil {
		return nil, nil
	}
	sum, err := p.sum()
	if err != nil {
		return nil, err
	}
	run.Pass, run.Deadline = nil, 0
	mac, err := g.sign(forPasses, passed{run, p.Connection.Name, sum, check})
	return &schemas.Pass{Part: sum, Check: check, MAC: mac}, err
}

// CheckPass tells whether an activity may work on the run over the connection, and
// whether it may change something. The error is a *Refused.
func (g *Gate) CheckPass(run schemas.RunRef, connection string, changes bool) error {
	if g == nil {
		return nil
	}
	pass := run.Pass
	run.Pass, run.Deadline = nil, 0
	switch {
	case pass == nil, !g.signed(forPasses, passed{run, connection, pass.Part, pass.Check}, pass.MAC):
		return no(schemas.ErrorGrant, "this part of the run of «%s» has no pass: only RunExport starts it, with a grant", run.Export)
	case changes && pass.Check:
		return no(schemas.ErrorGrant, "the run of «%s» is a check, and may change nothing", run.Export)
	}
	return nil
}

// CheckPart is CheckPass for an activity that has the whole part: nothing in it may
// be altered.
func (g *Gate) CheckPart(run schemas.RunRef, p Part, changes bool) error {
	if err := g.CheckPass(run, p.Connection.Name, changes); err != nil || g == nil {
		return err
	}
	p.Export.Segments = nil
	sum, err := p.sum()
	if err != nil {
		return err
	}
	if string(sum) != string(run.Pass.Part) || p.Export.Name != run.Export || p.Segment.Name != run.Segment || p.Export.Connection != p.Connection.Name {
		return no(schemas.ErrorGrant, "the export «%s» was altered on its way to a step of its run", run.Export)
	}
	return nil
}

// listed is what a list's seal is over.
type listed struct {
	Run        schemas.RunRef `json:"run"` // without the pass
	Connection string         `json:"connection"`
	ListID     int64          `json:"listId"`
}

// SealList says that this is the list that the run fills; nil where nobody asks.
func (g *Gate) SealList(run schemas.RunRef, connection string, list int64) ([]byte, error) {
	if g == nil {
		return nil, nil
	}
	run.Pass, run.Deadline = nil, 0
	return g.sign(forLists, listed{run, connection, list})
}

// CheckList tells whether this is the list that the run fills.
func (g *Gate) CheckList(run schemas.RunRef, connection string, list int64, seal []byte) error {
	if g == nil {
		return nil
	}
	run.Pass, run.Deadline = nil, 0
	if !g.signed(forLists, listed{run, connection, list}, seal) {
		return no(schemas.ErrorGrant, "list %d is not the one that the run of «%s» fills", list, run.Export)
	}
	return nil
}
