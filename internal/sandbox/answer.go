package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"iterable-segment-export/internal/iterable/api"
)

// answer is an answer of the API. A handler that panics with one refuses the
// request.
type answer struct {
	status      int
	contentType string
	retryAfter  string
	body        []byte
	rows        int // subscribers in a request that was applied
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil { // all values here can be encoded
		panic(err)
	}
	return answer{status: status, contentType: "application/json", body: body}
}

func textAnswer(status int, text string) answer {
	return answer{status: status, contentType: "text/plain", body: []byte(text)}
}

func success(msg string) answer {
	return jsonAnswer(http.StatusOK, api.Status{Msg: msg, Code: api.CodeSuccess})
}

func failure(status int, code, msg string) answer {
	return jsonAnswer(status, api.Status{Msg: msg, Code: code})
}

func badParams(format string, args ...any) answer {
	return failure(http.StatusBadRequest, api.CodeBadParams, fmt.Sprintf(format, args...))
}

// unknownList returns the answer for a list that does not exist, or does not yet. Its code is
// Success, as Iterable's is.
func unknownList(id int64) answer {
	return jsonAnswer(http.StatusBadRequest, api.Status{Msg: fmt.Sprintf("%s(%d)", api.InvalidListIDMarker, id), Code: api.CodeSuccess,
		Params: map[string]any{"projectId": 1, "listId": id}})
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.contentType)
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may have disconnected
}

// read decodes JSON, or refuses the request. It refuses unknown fields, so that a request that
// works here works with Iterable.
func read(body []byte, v any) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	d.UseNumber()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return
		}
		err = fmt.Errorf("there is data after the JSON value")
	}
	if shape, ok := strings.CutPrefix(err.Error(), "json: "); ok {
		panic(badParams("%s", shape))
	}
	panic(failure(http.StatusBadRequest, api.CodeBadJSONBody, "Could not parse JSON: "+err.Error()))
}
