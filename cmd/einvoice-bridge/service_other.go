//go:build !windows

package main

// runAsService is for Windows, whose services are started in a way of their own.
func runAsService(string, string) (bool, error) { return false, nil }
