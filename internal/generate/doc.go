// Package generate makes segments of made-up people, for demonstrations, tests
// and benchmarks, and says what a run should make of them. What it expects it
// knows from what it wrote; it never asks the code that is to be tested.
//
//	generate.go  the options, the expectation, the folder
//	plan.go      what stands in each row, and the expectation, by computation
//	shuffle.go   chance
//	address.go   addresses, good and bad; names.go has what they are made of
//	rows.go      the columns; schema.go names them
//	write.go     the files
//
// Its tests also keep the small segments of examples/ (see examples_test.go).
package generate
