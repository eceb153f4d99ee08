package access

import (
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"time"

	"iterable-segment-export/schemas"
)

// proofTime is how long a proof is good for: long enough for a worker to be
// started, short enough that one read in a history is of no use.
const proofTime = 5 * time.Minute

// maxToken is the most bytes of a token. Those with some hundred groups have ten
// thousand or so.
const maxToken = 64 << 10

// Question is what a proof is meant for.
type Question struct {
	Operation string
	Arguments []byte
	// WorkflowID is the id of the workflow that asks.
	WorkflowID string
}

// AnswerQuestion is the question that an answer to a waiting run is: this one
// answer, to the wait that began then.
func AnswerQuestion(update string, since time.Time) (operation string, arguments []byte) {
	return "answer/" + update, []byte(since.UTC().Format(time.RFC3339Nano))
}

// sealed is what a proof holds.
type sealed struct {
	Token      string    `json:"token"`
	Operation  string    `json:"operation"`
	Arguments  []byte    `json:"arguments"` // their SHA-256
	WorkflowID string    `json:"workflowId"`
	ExpiresAt  time.Time `json:"expiresAt"`
}

// Seal makes a proof: the token and the question that it is meant for, which only
// the worker can read that has this public key.
func Seal(workerKey, token string, q Question, now time.Time) (*schemas.Proof, error) {
	key, err := parsePublicKey(workerKey)
	if err != nil {
		return nil, fmt.Errorf("the worker's public key is none: %w", err)
	}
	sum := sha256.Sum256(q.Arguments)
	data, err := json.Marshal(sealed{
		Token: token, Operation: q.Operation, Arguments: sum[:], WorkflowID: q.WorkflowID, ExpiresAt: now.Add(proofTime).UTC(),
	})
	if err != nil {
		return nil, err
	}
	box, err := hpke.Seal(key, kdf(), aead(), []byte(forProofs), data)
	if err != nil {
		return nil, fmt.Errorf("seal the token: %w", err)
	}
	return &schemas.Proof{Sealed: box}, nil
}

// open gives the token of a proof that is meant for this question.
func (g *Gate) open(p *schemas.Proof, q Question) (string, error) {
	if p == nil {
		return "", no(schemas.ErrorProof, "this worker wants to know who asks: set EXPORT_TOKEN to a token of your identity provider, or EXPORT_TOKEN_FILE to a file that holds one")
	}
	s, ok := g.unseal(p.Sealed)
	if !ok {
		return "", no(schemas.ErrorProof, "the token was not sealed for this worker (was its secret changed, or is EXPORT_WORKER_KEY another worker's?); try again")
	}
	sum := sha256.Sum256(q.Arguments)
	switch now := g.now(); {
	case s.Operation != q.Operation, subtle.ConstantTimeCompare(s.Arguments, sum[:]) != 1, s.WorkflowID != q.WorkflowID:
		return "", no(schemas.ErrorProof, "the proof was made for another question; make one for this question")
	case now.After(s.ExpiresAt.Add(leeway)):
		return "", no(schemas.ErrorProof, "the proof of who asks has expired (no worker was there to look at it, or a clock is wrong); try again")
	case s.ExpiresAt.After(now.Add(proofTime + leeway)):
		return "", no(schemas.ErrorProof, "the proof of who asks is from the future; set the clock, and try again")
	case s.Token == "", len(s.Token) > maxToken:
		return "", no(schemas.ErrorProof, "the proof holds no token")
	}
	return s.Token, nil
}

func (g *Gate) unseal(box []byte) (sealed, bool) {
	for _, k := range g.keys {
		data, err := hpke.Open(k.proof, kdf(), aead(), []byte(forProofs), box)
		var s sealed
		if err == nil && json.Unmarshal(data, &s) == nil {
			return s, true
		}
	}
	return sealed{}, false
}

func no(kind schemas.ErrorType, format string, args ...any) *Refused {
	return &Refused{Type: kind, Message: fmt.Sprintf(format, args...)}
}
