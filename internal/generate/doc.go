// Package generate makes segments of made-up people, for demonstrations, tests
// and benchmarks, and says what a run should make of them. What it expects it
// knows from what it wrote; it never asks the code that is to be tested.
//
// Its tests also keep the small segments of examples/ (see examples_test.go).
package generate
