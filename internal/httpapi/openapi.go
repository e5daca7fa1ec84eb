package httpapi

import (
	_ "embed"
	"net/http"
)

// openAPI describes the API. openapi_test.go compares it with the handlers.
//
//go:embed openapi.json
var openAPI []byte

const openAPIPath = "/v1/openapi.json"

// describe answers with the description, which needs no key.
func describe(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // an error means that the client left
}
