// Package generate writes segments of invented profiles, for demonstrations, tests and
// benchmarks, and returns the expected result of a run. It computes that independently of the
// code under test.
//
//	generate.go  the options, the expectation, the folder
//	plan.go      the content of each row, and the expectation
//	shuffle.go   random numbers and permutations
//	address.go   valid and invalid addresses; names.go has their parts
//	rows.go      the columns; schema.go names them
//	write.go     the files
//
// Its tests also keep the small segments of examples/ (see examples_test.go).
package generate
