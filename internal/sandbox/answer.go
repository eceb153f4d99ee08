package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"iterable-segment-export/internal/iterable/api"
)

// answer is an answer of the API. As an error it is that of a refused request.
type answer struct {
	status       int
	contentType  string
	header       map[string]string
	body         []byte
	rows, failed int // subscribers in a request that was applied
}

func (a answer) Error() string { return string(a.body) }

func jsonAnswer(status int, v any) answer {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // nothing here holds what JSON can't
		panic(err)
	}
	return answer{status: status, contentType: "application/json", body: bytes.TrimSuffix(body.Bytes(), []byte("\n"))}
}

func textAnswer(text string) answer {
	return answer{status: http.StatusOK, contentType: "text/plain; charset=utf-8", body: []byte(text)}
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

func badJSON(what string) answer {
	return failure(http.StatusBadRequest, api.CodeBadJSONBody, "Could not parse JSON: "+what)
}

// unknownList is the answer for a list that is not there, or not yet: its code is
// Success, whatever the status.
func unknownList(p *project, id int64) answer {
	return jsonAnswer(http.StatusBadRequest, api.Status{Msg: fmt.Sprintf("%s(%d)", api.InvalidListIDMarker, id), Code: api.CodeSuccess,
		Params: map[string]any{"projectId": len(p.name), "listId": id}})
}

func (a *answer) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	for k, v := range a.header {
		h.Set(k, v)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that is gone needs no answer
}

// read decodes a request's body, strictly: unknown fields are refused, so that
// what works here works there. Its error is an answer.
func read(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more == io.EOF {
			return nil
		}
		return badJSON("something follows the JSON value")
	}
	if text, shape := strings.CutPrefix(err.Error(), "json: "); shape {
		return badParams("%s", text)
	}
	return badJSON(err.Error())
}
