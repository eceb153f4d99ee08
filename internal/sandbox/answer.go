package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// apiError is an answer that is not 2xx, as Iterable words it.
type apiError struct {
	status int
	Msg    string         `json:"msg"`
	Code   string         `json:"code"`
	Params map[string]any `json:"params"`
}

func badJSON(msg string) *apiError {
	return &apiError{status: http.StatusBadRequest, Code: "BadJsonBody", Msg: "Invalid JSON: " + msg}
}

func badParams(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, Code: "BadParams", Msg: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *apiError {
	return &apiError{status: http.StatusNotFound, Code: "NotFound", Msg: fmt.Sprintf(format, args...)}
}

func tooLarge(status int, format string, args ...any) *apiError {
	return &apiError{status: status, Code: "BatchTooLarge", Msg: fmt.Sprintf(format, args...)}
}

// answer is a whole HTTP answer. The handlers make one instead of writing, so
// that a fault can stand between the change and what the client hears of it.
type answer struct {
	status      int
	contentType string
	header      map[string]string
	body        []byte
	// rows and failed are the subscribers in an applied request, for the stats.
	rows, failed int
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil { // nothing here holds what JSON can't
		panic(err)
	}
	return answer{status: status, contentType: "application/json", body: body}
}

func textAnswer(body []byte) answer {
	return answer{status: http.StatusOK, contentType: "text/plain; charset=utf-8", body: body}
}

func (e *apiError) answer() answer { return jsonAnswer(e.status, e) }

func success(msg string) answer {
	return jsonAnswer(http.StatusOK, &apiError{Msg: msg, Code: "Success"})
}

func (a *answer) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	for k, v := range a.header {
		h.Set(k, v)
	}
	w.WriteHeader(a.status)
	w.Write(a.body) // a client that is gone is nothing to mend
}
