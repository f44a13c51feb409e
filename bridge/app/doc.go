// Package app is the bridge put together: app.go wires it, read top to bottom, starts and stops it; a plan is a configuration
// with everything that is built from it, which check looks at, [New] begins with and a reload puts in the place of another
// (plan.go, reload.go); settings.go hands the file to the packages, each in its own words; upkeep.go is what it does
// unasked. It knows all others but the commands.
package app
