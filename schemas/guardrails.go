package schemas

// Guardrails are the bounds that a run may not exceed without an operator's approval. A
// field that is not set means the default; a share of 0 allows none.
type Guardrails struct {
	// MaxRemovedShare is the share of the list, from 0 to 1, that a run may
	// remove.
	MaxRemovedShare *float64 `json:"maxRemovedShare,omitempty"`
	// AllowEmpty lets a run continue if its segment has no row.
	AllowEmpty bool `json:"allowEmpty,omitempty"`
	// MaxRejectedShare is the share of the rows read, from 0 to 1, that may be
	// rejected.
	MaxRejectedShare *float64 `json:"maxRejectedShare,omitempty"`
	// MaxLeftOutShare is the share of the rows read, from 0 to 1, of which one
	// column's value may be left out because it can't be sent.
	MaxLeftOutShare *float64 `json:"maxLeftOutShare,omitempty"`
	// MaxGrowth and MaxShrink are the factors, above 1, by which a segment may
	// have grown or shrunk since the last successful run: with 10 and 2, to ten
	// times and to half of what it was.
	MaxGrowth float64 `json:"maxGrowth,omitempty"`
	MaxShrink float64 `json:"maxShrink,omitempty"`
	// MaxAge is how old the newest file of the segment may be; 0 is any age.
	MaxAge Duration `json:"maxAge,omitempty"`
}

// Defaults of Guardrails. They are this project's choice: a refresh usually changes about
// one percent of a list, so a run that exceeds them is likely a mistake.
const (
	DefaultMaxRemovedShare  = 0.30
	DefaultMaxRejectedShare = 0.20
	DefaultMaxLeftOutShare  = 0.50
	DefaultMaxGrowth        = 10.0
	DefaultMaxShrink        = 2.0
)

// RemovedShare returns MaxRemovedShare or its default.
func (g Guardrails) RemovedShare() float64 {
	if g.MaxRemovedShare == nil {
		return DefaultMaxRemovedShare
	}
	return *g.MaxRemovedShare
}

// RejectedShare returns MaxRejectedShare or its default.
func (g Guardrails) RejectedShare() float64 {
	if g.MaxRejectedShare == nil {
		return DefaultMaxRejectedShare
	}
	return *g.MaxRejectedShare
}

// LeftOutShare returns MaxLeftOutShare or its default.
func (g Guardrails) LeftOutShare() float64 {
	if g.MaxLeftOutShare == nil {
		return DefaultMaxLeftOutShare
	}
	return *g.MaxLeftOutShare
}

// Growth returns MaxGrowth or its default.
func (g Guardrails) Growth() float64 {
	if g.MaxGrowth == 0 {
		return DefaultMaxGrowth
	}
	return g.MaxGrowth
}

// Shrink returns MaxShrink or its default.
func (g Guardrails) Shrink() float64 {
	if g.MaxShrink == 0 {
		return DefaultMaxShrink
	}
	return g.MaxShrink
}
