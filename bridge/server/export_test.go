package server

// FramingOf is framingOf, for tests.
var FramingOf = framingOf
