//go:build race

package server_test

// slower is what the race detector costs.
const slower = 12
